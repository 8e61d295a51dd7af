const { join } = require("path");

// Where the lab notes what took how long, in this process and in the workers.
process.env.LAB_TIMES = join(__dirname, "node_modules", ".cache", "lab-times");

// As Pulumi does it (ts-node with swc): types are checked by tsc.
const transpile = ["@swc/jest", { jsc: { parser: { syntax: "typescript" }, target: "es2022" }, module: { type: "commonjs" } }];

/** @type {import("jest").Config} */
module.exports = {
    testEnvironment: "node",
    transform: { "^.+\\.ts$": transpile, "^.+\\.sh$": "<rootDir>/tests/shellText.js" },
    // As users write it.
    moduleNameMapper: { "^pulumi-rancher-ha$": "<rootDir>/components" },
    // The start of a program with the SDK takes seconds, and on a busy machine over half a minute.
    testTimeout: 120_000,
    testMatch: ["<rootDir>/tests/**/*.test.ts"],
    testSequencer: "<rootDir>/tests/longestFirst.js",
    reporters: ["default", "<rootDir>/tests/reporter.js"],
};
