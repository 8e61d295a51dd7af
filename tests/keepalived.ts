import { execFileSync } from "child_process";
import { unpackedDebianPackages } from "../lab/tools";

/** Unpacks Debian's real keepalived with the libraries that this machine lacks, and returns shell text that starts it. */
export async function realKeepalived(): Promise<string> {
    const plan = execFileSync("apt-get", ["install", "--simulate", "--no-install-recommends", "keepalived"], { encoding: "utf8" });
    const lacking = [...plan.matchAll(/^Inst (\S+)/gm)].map(match => match[1]);
    const folder = await unpackedDebianPackages([...new Set(["keepalived", ...lacking])]);
    const libraries = ["lib", "usr/lib"].map(path => `${folder}/${path}/$(uname -m)-linux-gnu`).join(":");
    return `LD_LIBRARY_PATH=${libraries} ${folder}/usr/sbin/keepalived`;
}
