import { readFileSync } from "fs";
import { maxWorkerConnections, reservedFiles } from "../../components/loadBalancer/nginxConf";
import { scripts } from "../../components/loadBalancer/program";

/** Makes a sh program that defines the functions of a load balancer host, then runs a command. It does not run a verb of `main.sh`. */
export function withHostFunctions(command: string): string {
    const functions = scripts.filter(path => !path.endsWith("/main.sh")).map(path => readFileSync(path, "utf8"));
    return [...functions, command].join("\n");
}

/**
 * Makes a sh program that finishes nginx.conf from standard input for the host that runs the program. The shell functions in `facts`
 * replace the host's own probes of itself.
 */
export function finishNginxConf(facts: string): string {
    return withHostFunctions(`max_connections=${maxWorkerConnections}; reserved_files=${reservedFiles}; ${facts}; for_host`);
}
