import js from "@eslint/js";
import pulumi from "@pulumi/eslint-plugin";
import tseslint from "typescript-eslint";

export default tseslint.config(
    { ignores: ["dist/", "node_modules/", ".lab/", "coverage/"] },
    js.configs.recommended,
    {
        files: ["**/*.ts"],
        extends: [...tseslint.configs.recommended],
        languageOptions: { parserOptions: { project: "./tsconfig.strict.json", tsconfigRootDir: import.meta.dirname } },
        plugins: { "@pulumi": pulumi },
        rules: {
            "@pulumi/no-output-in-template-literal": "error",
            "@pulumi/no-output-instance-in-template-literal": "off",
            "@typescript-eslint/no-floating-promises": "error",
            "@typescript-eslint/no-explicit-any": "off",
            "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
        },
    },
    {
        files: ["components/**/runner/*.js"],
        extends: [...tseslint.configs.recommended],
        languageOptions: {
            parserOptions: { project: "./tsconfig.strict.json", tsconfigRootDir: import.meta.dirname },
            sourceType: "commonjs",
            globals: {
                AbortSignal: "readonly",
                Buffer: "readonly",
                clearInterval: "readonly",
                clearTimeout: "readonly",
                process: "readonly",
                require: "readonly",
                setInterval: "readonly",
                setTimeout: "readonly",
                URL: "readonly",
                console: "readonly",
            },
        },
        rules: {
            "@typescript-eslint/no-floating-promises": "error",
            // Runner programs are CommonJS, because they travel as they are.
            "@typescript-eslint/no-require-imports": "off",
            "@typescript-eslint/no-unused-vars": ["error", { ignoreRestSiblings: true }],
        },
    },
    {
        // A file and a function of a size that is read at once. Tests are tables.
        files: ["{components,lab,bench,scripts,adopt,images}/**/*.{ts,js}", "*.ts"],
        rules: { "max-lines": ["error", 300], "max-lines-per-function": ["error", 60] },
    },
    {
        files: ["*.js", "*.mjs", "tests/*.js", "scripts/*.mjs"],
        languageOptions: {
            globals: { module: "writable", require: "readonly", process: "readonly", console: "readonly", __dirname: "readonly" },
        },
    },
);
