// Types are checked by tsc: here every file is only transpiled.
const transpile = ["ts-jest", { tsconfig: "tsconfig.strict.json", transpilation: true, diagnostics: false }];

/** @type {import("jest").Config} */
module.exports = {
    testEnvironment: "node",
    transform: { "^.+\\.ts$": transpile },
    testTimeout: 30_000,
    testMatch: ["<rootDir>/tests/**/*.test.ts"],
    testSequencer: "<rootDir>/tests/cheapestFirst.js",
    reporters: ["default", "<rootDir>/tests/closingLine.js"],
};
