async function main({ host, program }) {
    try {
        const result = await withSshAgent([host.privateKey], env => sshProgram(env, host, program, "probe", 20));
        process.stdout.write(result.code === 0 ? result.stdout.trim() : `unreachable: probe ended with exit code ${result.code}`);
    } catch (error) {
        process.stdout.write(`unreachable: ${error.message}`);
    }
}
