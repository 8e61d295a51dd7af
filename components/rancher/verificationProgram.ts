import { join } from "path";
import type { z } from "zod";
import { nodeProgram } from "../host/programs";
import type { verificationSchema } from "./verification";

const sources = ["../host/runner/probe.js", "runner/verification.js"].map(file => join(__dirname, file));
type Settings = Omit<z.output<typeof verificationSchema>, "liveCheck">;

/** The program that verifies, once in each pause until all is well. */
export function verificationProgram(args: Settings, around = { httpsPort: 443, httpPort: 80, pauseSeconds: 3 }): string {
    return nodeProgram(sources, { ...args, ...around });
}

/** The program that looks once, without a login, as a probe. What is wrong is said with this word of host/probe.ts. */
export function liveCheckProgram(
    { hostname, addresses, caCertificate }: Settings,
    asWord: "warning" | "refused",
    around = { httpsPort: 443, httpPort: 80 },
): string {
    return nodeProgram(sources, { hostname, addresses, caCertificate, asWord, ...around });
}
