import { readdirSync } from "fs";
import { join } from "path";
import { repository } from "../lab/inventory";

/** Paths of the pages for people, in the repository. */
export const pages = ["", "docs", "docs/examples", "examples", "lab", "lab/nodeImage", "lab/rancher", "lab/rancher/chart"].flatMap(folder =>
    readdirSync(join(repository, folder))
        .filter(file => file.endsWith(".md"))
        .map(file => join(folder, file)),
);
