import { join } from "path";
import type { z } from "zod";
import { nodeProgram } from "../host/programs";
import type { verificationSchema } from "./verification";

/** The program that verifies, once in each pause until all is well. */
export function verificationProgram(
    args: z.output<typeof verificationSchema>,
    around = { httpsPort: 443, httpPort: 80, pauseSeconds: 3 },
): string {
    return nodeProgram([join(__dirname, "runner", "verification.js")], { ...args, ...around });
}
