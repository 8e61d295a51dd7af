const swc = ["@swc/jest", { jsc: { target: "es2022", parser: { syntax: "typescript" } }, module: { type: "commonjs" } }];

/** @type {import("jest").Config} */
module.exports = {
    testEnvironment: "node",
    transform: { "^.+\\.ts$": swc },
    testMatch: ["<rootDir>/tests/**/*.test.ts"],
    testSequencer: "<rootDir>/tests/cheapestFirst.js",
    reporters: ["default", "<rootDir>/tests/closingLine.js"],
};
