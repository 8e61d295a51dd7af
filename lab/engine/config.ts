import { existsSync, readFileSync } from "fs";
import { join } from "path";
import { parse } from "yaml";
import { Program } from "./language";

/** The program of a folder with the configuration of a stack, as the CLI reads them: objects go to the program as JSON. */
export function readProgram(folder: string, stack: string, preview: boolean, file = join(folder, `Pulumi.${stack}.yaml`)): Program {
    const project = parse(readFileSync(join(folder, "Pulumi.yaml"), "utf8"));
    const config: Record<string, unknown> = existsSync(file) ? (parse(readFileSync(file, "utf8")).config ?? {}) : {};
    const texts = Object.entries(config).map(([name, value]) => {
        if (JSON.stringify(value).includes('"secure":'))
            throw new Error(`${file}: ${name} is encrypted by the Pulumi CLI; the lab's engine cannot read it`);
        const key = name.includes(":") ? name : `${project.name}:${name}`;
        return [key, typeof value === "object" ? JSON.stringify(value) : String(value)];
    });
    return { folder, project: project.name, stack, main: join(folder, project.main ?? "."), config: Object.fromEntries(texts), preview };
}
