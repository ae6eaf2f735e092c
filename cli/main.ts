// The project's command line, which cli/bootstrap.mjs calls: all commands, with their arguments and options.
import { Command, CommanderError, Option } from "commander";
import type { Given } from "./check/options.ts";
import { Failure, report } from "./failure.ts";
import type { ReportOptions } from "./report.ts";
import { guardSignals } from "./run.ts";
import { purposes } from "./setup.ts";

/** A command's work. It resolves with the exit code, or with nothing where that is 0. */
type Work = Promise<number | undefined> | Promise<void>;

/**
 * Declares all commands. Each loads its code when it is called.
 *
 * @param given the arguments as they were given, without the command's name
 * @param done gets the command's exit code
 */
function createProgram(given: string[], done: (code: number) => void): Command {
    const program = new Command("npm run")
        .usage("COMMAND, or: node cli/bootstrap.mjs COMMAND")
        .description("STACK=name picks another stack than dev.")
        .enablePositionalOptions()
        .exitOverride()
        .configureOutput({ writeErr: () => {} })
        .configureHelp({
            helpWidth: 120,
            commandUsage: (command) =>
                command.parent ? `npm run ${command.name()} -- ${command.usage()}` : `npm run ${command.usage()}`,
        });

    const command = <Values extends unknown[]>(name: string, text: string, work: (...values: Values) => Work) =>
        program
            .command(name)
            .description(text)
            .action(async (...values: Values) => {
                const code = await work(...values);
                done(typeof code === "number" ? code : 0);
            });

    /** A command that takes its arguments as they are: they are another program's. */
    const passThrough = (name: string, text: string, work: (args: string[]) => Work) =>
        command(name, text, () => work(given))
            .allowUnknownOption()
            .passThroughOptions();

    passThrough(
        "up [ARGS...]",
        "from whatever there is to proven sandboxes; ARGS go to `pulumi up`, --verbose shows all it says",
        async (args) => (await import("./deploy.ts")).up(args),
    );
    passThrough("preview [ARGS...]", "what `up` would change; needs no root, changes nothing", async (args) =>
        (await import("./deploy.ts")).preview(args),
    );
    passThrough("destroy [ARGS...]", "removes all that `up` made; ARGS go to `pulumi destroy`", async (args) =>
        (await import("./deploy.ts")).destroy(args),
    );
    command(
        "check [FILE]",
        "exits with 0 only if every worker is proven, by the outputs alone: of the stack, of FILE, or of standard input (-); " +
            "see docs/outputs.md",
        async (file: string | undefined, options: Given) => (await import("./check.ts")).check(file, options),
    )
        .option("--pods [SELECTOR]", "asks the workers, too, whether every pod that should be in a sandbox is in one")
        .option("--allow-replaced", "with --pods: accepts pods in a sandbox of a gVisor that has been replaced")
        .option("--live", "looks into the test pods again, and starts new ones")
        .option("--kubeconfig <FILE>", "with --live: for outputs of a file")
        .option("--max-age <DURATION>", "how old the outputs may be, such as 24h")
        .option("--json", "the result as JSON")
        .option("--junit <FILE>", "the result as JUnit XML, into FILE")
        .option("--github", "the problems as annotations of GitHub Actions");
    command(
        "report [FILE]",
        "the outputs of the stack, of FILE, or of standard input (-), as a page and as Markdown, in report/",
        async (file: string | undefined, options: ReportOptions) => (await import("./report.ts")).report(file, options),
    )
        .option("--out <DIR>", "another folder than report/")
        .option("--since <FILE>", "with what has changed since these outputs; by default, since the last report")
        .option("--pods", "with what `check --pods` finds");
    command(
        "drift",
        "looks at machines and cluster again and names what differs; exits with 3 if something does",
        async (options: { readonly json?: boolean }) => (await import("./drift.ts")).drift(options),
    ).option("--json", "all that is found, as JSON");
    command(
        "scan-host-keys <NAME=HOST[:PORT]...>",
        "host keys of existing machines, for you to verify",
        async (machines: string[]) => (await import("./scanHostKeys.ts")).scanHostKeys(machines),
    );
    passThrough("ssh [MACHINE] [COMMAND...]", "a shell on a machine of the stack, or a command there", async (args) =>
        (await import("./access.ts")).ssh(args),
    ).helpOption(false);
    passThrough("kubectl [ARGS...]", "kubectl on the stack's cluster", async (args) =>
        (await import("./access.ts")).kubectl(args),
    ).helpOption(false);
    passThrough("pulumi [ARGS...]", "any Pulumi command in this project's environment", async (args) =>
        (await import("./tools.ts")).pulumi(args),
    ).helpOption(false);
    command("setup", "only the set-up", async ({ for: purpose }: { readonly for: keyof typeof purposes }) =>
        (await import("./tools.ts")).ready(purpose),
    ).addOption(new Option("--for <PURPOSE>", "what to prepare for").choices(Object.keys(purposes)).default("up"));
    passThrough("mirror [ARGS...]", "mirror/mirror.sh", async (args) =>
        (await import("./tools.ts")).mirror(args),
    ).helpOption(false);
    command("verify", "format, lint, types, imports, shell", async () => (await import("./suites.ts")).verify());
    command(
        "test [SUITE]",
        "verify and all tests, or one of unit, scripts, plugins, policy, e2e; or matrix, the versions of containerd",
        async (suite: string | undefined, { times }: { readonly times?: string | true }) =>
            (await import("./suites.ts")).test(suite, times),
    )
        .option("--times [FILE]", "keeps how long each file took in FILE, or in bench/tests.md")
        .enablePositionalOptions()
        .command("walk [ARGS...]")
        .description("a random walk; its --help says more")
        .helpOption(false)
        .allowUnknownOption()
        .passThroughOptions()
        .action(async () => done(await (await import("./suites.ts")).walk(given.slice(1))));
    passThrough("bench [ARGS...]", "measures and compares", async (args) => (await import("./tools.ts")).bench(args));
    passThrough("ci [COMMAND] [ARGS...]", "what the workflows call; its --help says more", async (args) =>
        (await import("./ci/main.ts")).ci(args),
    ).helpOption(false);
    command(
        "versions",
        "what may be pinned in place of each version that is",
        async (options: { readonly json?: boolean }) => (await import("./versions.ts")).versions(options),
    ).option("--json", "the table as JSON");
    command(
        "reference",
        "writes docs/reference.md and what else is made from the code",
        async (options: { readonly check?: boolean }) => (await import("./reference.ts")).reference(options, usage()),
    ).option("--check", "fails where a page is not as the code says");
    // Commander takes the next flag for the value of one that lacks its own.
    program.hook("preAction", (_, called) => {
        for (const option of called.options.filter(({ required }) => required)) {
            if (/^-./.test(called.getOptionValue(option.attributeName()) ?? "")) {
                called.error(`option '${option.flags}' argument missing`);
            }
        }
    });
    return program;
}

/** The help of all commands, and of each that has options. */
export function usage(): string {
    const program = createProgram([], () => {});
    const own = program.commands.filter(({ options }) => options.length > 0);
    return [program, ...own].map((command) => command.helpInformation()).join("\n");
}

/** Why the arguments are refused, and what is allowed. */
function misuse({ code, message }: CommanderError, program: Command, name: string): Failure {
    const command = program.commands.find((one) => one.name() === name);
    if (command === undefined) {
        return new Failure(`there is no command "${name}".\n${program.helpInformation()}`, { exitCode: 2 });
    }
    const [, value] = /'(.+)'/.exec(message) ?? [];
    const allowed = command.options.map(({ long }) => long).join(", ") || "no option";
    const takes = command.registeredArguments.length > 0 ? `only ${command.usage().split(" ").at(-1)}` : "no argument";
    const sentence =
        {
            "commander.unknownOption": `${name} does not know "${value}"; allowed: ${allowed}.`,
            "commander.excessArguments": `${name} takes ${takes}, not ${command.args.join(", ")}.`,
        }[code] ?? `${name}: ${message.replace(/^error: /, "").replace(/\.?$/, ".")}`;
    return new Failure(sentence, { exitCode: 2, next: `npm run ${name} -- --help` });
}

async function main([name = "help", ...rest]: string[]): Promise<number> {
    const given = rest[0] === "--" ? rest.slice(1) : rest;
    let exitCode = 0;
    const program = createProgram(given, (code) => {
        exitCode = code;
    });
    try {
        await program.parseAsync([name, ...given], { from: "user" });
        return exitCode;
    } catch (error) {
        if (!(error instanceof CommanderError)) {
            throw error;
        }
        if (error.exitCode === 0) {
            return 0; // --help, which has been printed.
        }
        throw misuse(error, program, name);
    }
}

/** Runs a command. @param args its name and its arguments @returns its exit code */
export async function runCommand(args: string[]): Promise<number> {
    guardSignals();
    // Who reads it may have seen enough, as in `npm run drift | head`: what is done goes on.
    for (const stream of [process.stdout, process.stderr]) {
        stream.on("error", (error: NodeJS.ErrnoException) => {
            if (error.code !== "EPIPE") throw error;
        });
    }
    try {
        return await main(args);
    } catch (error) {
        return report(error);
    }
}
