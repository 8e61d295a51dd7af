/** The text of a shell script. `nodeProgram` puts it into the program as a module. */
declare module "*.sh" {
    const text: string;
    export = text;
}
