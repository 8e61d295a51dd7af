// tsc compiles TypeScript only: the programs for hosts and for the runner go beside it as they are.
import { cpSync } from "node:fs";

cpSync("components", "dist/components", { recursive: true, filter: source => !/\.[a-z]+$/.test(source) || /\.(sh|js)$/.test(source) });
