import { createDecipheriv, pbkdf2Sync } from "crypto";
import { existsSync, readFileSync } from "fs";
import { join } from "path";
import { parse } from "yaml";
import { Program } from "./language";

type Yaml = any;

/** The program of a folder with the configuration of a stack, as the CLI reads them: objects go to the program as JSON, secrets in clear. */
export function readProgram(
    folder: string,
    stack: string,
    preview: boolean,
    passphrase: string,
    file = join(folder, `Pulumi.${stack}.yaml`),
): Program {
    const project = parse(readFileSync(join(folder, "Pulumi.yaml"), "utf8"));
    const { config = {}, encryptionsalt }: Yaml = existsSync(file) ? (parse(readFileSync(file, "utf8")) ?? {}) : {};
    const decrypt = decryption(encryptionsalt, passphrase, file);
    const program: Program = {
        folder,
        project: project.name,
        stack,
        main: join(folder, project.main ?? "."),
        config: {},
        secretKeys: [],
        preview,
    };
    for (const [name, value] of Object.entries(config)) {
        const key = name.includes(":") ? name : `${project.name}:${name}`;
        const clear = (inner: Yaml): Yaml => {
            if (inner === null || typeof inner !== "object") return inner;
            if (typeof inner.secure === "string") {
                if (!program.secretKeys.includes(key)) program.secretKeys.push(key);
                return decrypt(inner.secure);
            }
            if (Array.isArray(inner)) return inner.map(clear);
            return Object.fromEntries(Object.entries(inner).map(([each, its]) => [each, clear(its)]));
        };
        const known = clear(value);
        program.config[key] = typeof known === "object" ? JSON.stringify(known) : String(known);
    }
    return program;
}

/** What `pulumi config set --secret` has encrypted with the passphrase of the stack. */
function decryption(encryptionSalt: string | undefined, passphrase: string, file: string): (secure: string) => string {
    let key: Buffer | undefined;
    const bytes = (text: string) => Buffer.from(text, "base64");
    return secure => {
        const [version, nonce, text] = secure.split(":");
        if (version !== "v1" || !encryptionSalt?.startsWith("v1:"))
            throw new Error(`${file}: expected secrets that a passphrase encrypts (v1), found others: use the Pulumi CLI`);
        key ??= pbkdf2Sync(passphrase, bytes(encryptionSalt.split(":")[1]), 1_000_000, 32, "sha256");
        const decipher = createDecipheriv("aes-256-gcm", key, bytes(nonce)).setAuthTag(bytes(text).subarray(-16));
        try {
            return decipher.update(bytes(text).subarray(0, -16), undefined, "utf8") + decipher.final("utf8");
        } catch {
            throw new Error(`${file}: PULUMI_CONFIG_PASSPHRASE is not the passphrase of its secrets`);
        }
    };
}
