// Makes a shell script a module that exports its text, as `nodeProgram` does.
module.exports = { process: text => ({ code: `module.exports = ${JSON.stringify(text)};` }) };
