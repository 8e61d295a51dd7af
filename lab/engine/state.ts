import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from "crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "fs";
import { dirname } from "path";
import { Properties } from "./values";

export interface ResourceState {
    urn: string;
    type: string;
    custom: boolean;
    id: string;
    inputs: Properties;
    outputs: Properties;
    parent: string;
    provider: string;
    dependencies: string[];
    deletedWith: string;
    retainOnDelete: boolean;
    protect: boolean;
    /** Replaced by a newer one of the same URN, and still to be deleted. */
    replaced?: boolean;
    /** Made, but not in working order: the next run updates it. */
    initError?: string;
}

export interface Stack {
    /** In the order of creation: what depends on something comes after it. */
    resources: ResourceState[];
    outputs: Properties;
    /** Operations that had begun when the process was killed. */
    pending: string[];
}

/** The stack's state in one file, encrypted as a whole, replaced at once after every step. */
export class StateFile {
    private readonly salt: Buffer;
    private readonly key: Buffer;

    constructor(
        private readonly file: string,
        passphrase: string,
    ) {
        mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
        this.salt = existsSync(file) ? Buffer.from(JSON.parse(readFileSync(file, "utf8")).salt, "base64") : randomBytes(16);
        this.key = scryptSync(passphrase, this.salt, 32);
    }

    read(): Stack {
        if (!existsSync(this.file)) return { resources: [], outputs: {}, pending: [] };
        const { iv, tag, data } = JSON.parse(readFileSync(this.file, "utf8"));
        const decipher = createDecipheriv("aes-256-gcm", this.key, Buffer.from(iv, "base64")).setAuthTag(Buffer.from(tag, "base64"));
        try {
            return JSON.parse(Buffer.concat([decipher.update(Buffer.from(data, "base64")), decipher.final()]).toString("utf8"));
        } catch {
            throw new Error(`${this.file}: the passphrase does not fit this state`);
        }
    }

    write(stack: Stack): void {
        const iv = randomBytes(12);
        const cipher = createCipheriv("aes-256-gcm", this.key, iv);
        const data = Buffer.concat([cipher.update(JSON.stringify(stack), "utf8"), cipher.final()]);
        const text = { salt: this.salt, iv, tag: cipher.getAuthTag(), data };
        const base64 = Object.fromEntries(Object.entries(text).map(([name, bytes]) => [name, bytes.toString("base64")]));
        writeFileSync(`${this.file}.new`, JSON.stringify(base64), { mode: 0o600 });
        renameSync(`${this.file}.new`, this.file);
    }

    /** Two runs on one stack refuse; a lock whose process is gone does not count. */
    lock(): () => void {
        const lock = `${this.file}.lock`;
        if (existsSync(lock)) {
            const holder = Number(readFileSync(lock, "utf8"));
            if (existsSync(`/proc/${holder}`)) throw new Error(`the stack is being changed by process ${holder}: wait for it to end`);
        }
        writeFileSync(lock, String(process.pid));
        return () => rmSync(lock, { force: true });
    }
}
