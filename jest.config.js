const { join } = require("path");

// Where the lab notes what took how long, in this process and in the workers.
process.env.LAB_TIMES = join(__dirname, "node_modules", ".cache", "lab-times");

// Types are checked by tsc: here every file is only transpiled.
const transpile = ["ts-jest", { tsconfig: "tsconfig.strict.json", transpilation: true, diagnostics: false }];

/** @type {import("jest").Config} */
module.exports = {
    testEnvironment: "node",
    transform: { "^.+\\.ts$": transpile },
    testTimeout: 30_000,
    testMatch: ["<rootDir>/tests/**/*.test.ts"],
    testSequencer: "<rootDir>/tests/longestFirst.js",
    reporters: ["default", "<rootDir>/tests/reporter.js"],
};
