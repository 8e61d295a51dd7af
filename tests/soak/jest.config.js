/* global module, require */
const base = require("../../jest.config");

/** Tests that wait or measure. `make soak` runs them one after the other, on a lab of their own. */
module.exports = {
    ...base,
    rootDir: "../..",
    testMatch: ["<rootDir>/tests/soak/**/*.soak.ts"],
    reporters: ["default", "<rootDir>/tests/soak/report.js"],
};
