import { readFileSync } from "fs";
import { join } from "path";

/** Values that a reader of the manual fills into its nginx.conf. */
interface ManualValues {
    openFiles: number;
    /** Addresses of the nodes, with their port. */
    servers: string[];
    hostname: string;
    /** Folder of fullchain.pem and privkey.pem, with a slash at its end. */
    certificates: string;
}

/** Returns the nginx.conf of the manual. */
export const manualConf = ({ openFiles, servers, hostname, certificates }: ManualValues): string =>
    readFileSync(join(__dirname, "manual.conf"), "utf8")
        .replace("@open_files@", String(openFiles))
        .replace("@servers@", servers.map(each => `        server ${each};`).join("\n"))
        .replaceAll("@hostname@", hostname)
        .replaceAll("/bench/", certificates);
