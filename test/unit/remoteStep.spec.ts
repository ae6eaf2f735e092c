import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import { contentHash } from "../../components/contentHash";
import { renderStep } from "../../components/remoteStep";
import { runtimeLibraries } from "../../components/runtimeScripts";
import { resultIn, shellQuote, stepCall } from "../../components/step.cjs";

const bash = (script: string, ...args: string[]) =>
    execFileSync("bash", ["-s", "--", ...args], { input: script, encoding: "utf8", maxBuffer: 64 << 20 });

const nasty: Readonly<Record<string, string>> = {
    nothing: "",
    blanks: "  two  spaces\tand a tab ",
    quotes: `it's "quoted" and ''twice''`,
    "only quotes": "'''",
    lines: "first\n\nthird\n",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's
    dollars: "$HOME ${HOME} $(id) `id` $$ $'x'",
    backslashes: "\\ \\\\ \\n \\' trailing\\",
    operators: "a; b && c | d > e < f & # g ! * ? [x] {y,z} ~",
    unicode: "Grüße, 世界, 🦀, a\u0301, \u00a0, \u2028",
    control: "\u0001\u001b[31m\u007f\r\n",
    "end of a here-document": "EOF\nTOML\nYAML",
};

describe("shellQuote", () => {
    it("gives bash back exactly what went in", () => {
        const script = Object.values(nasty).map((value) => `printf '%s\\0' ${shellQuote(value)}\n`);
        assert.deepEqual(bash(script.join("")).split("\0").slice(0, -1), Object.values(nasty));
    });

    it("gives a plain POSIX shell back the same", () => {
        for (const [title, value] of Object.entries(nasty)) {
            const printed = execFileSync("sh", ["-c", `printf %s ${shellQuote(value)}`], { encoding: "utf8" });
            assert.equal(printed, value, title);
        }
    });

    it("makes one word that starts and ends with a quote, so nothing before or after can change it", () => {
        for (const value of Object.values(nasty)) {
            assert.match(shellQuote(value), /^'[\s\S]*'$/);
            assert.equal(bash(`set -- ${shellQuote(value)}; printf %s $#`), "1");
        }
    });
});

describe("stepCall", () => {
    it("limits the time of root's shell itself, with sudo too: a user may not signal sudo", () => {
        assert.equal(stepCall(undefined, 600, "install"), "timeout --kill-after=10 600 bash -s -- install");
        assert.equal(stepCall("bash", 60, "remove"), "timeout --kill-after=10 60 bash -s -- remove");
        assert.equal(
            stepCall("sudo -n bash", 600, "install"),
            "sudo -n timeout --kill-after=10 600 bash -s -- install",
        );
    });
});

describe("resultIn", () => {
    /** The part of a step that stands before the library. */
    const head = renderStep("node/machine-id.sh", "identity-1", {}).split(
        fs.readFileSync("scripts/on-machine/lib.sh", "utf8"),
    )[0];
    const results = { nothing: "", "one word": "0123", JSON: JSON.stringify({ text: "==> result of the step\n" }) };

    for (const [title, greeting] of Object.entries({
        "says nothing": ":",
        greets: "echo Welcome; echo",
        "ends its greeting in no newline": "printf 'Welcome to {}'",
        "greets as a step does": "printf '==> result of the step\\n{}\\n'",
    })) {
        it(`finds the result behind a shell that ${title}`, () => {
            for (const [what, result] of Object.entries(results)) {
                const stdout = bash(`${greeting}\n${head}\nprintf '%s\\n' ${shellQuote(result)}`);
                // The plug-in takes the last newline off.
                assert.equal(resultIn(stdout.replace(/\n$/, "")), result, what);
                assert.equal(resultIn(stdout), `${result}\n`, what);
            }
            assert.equal(resultIn(bash(`${greeting}\n${head}`).replace(/\n$/, "")), "");
        });
    }

    it("takes all of what a step of an earlier version has printed", () => {
        for (const printed of ["", "0123\n", '{"a":"==> result of the step"}']) {
            assert.equal(resultIn(printed), printed);
        }
    });
});

describe("renderStep", () => {
    const script = "gvisor/verify-node.sh";
    const library = fs.readFileSync("scripts/on-machine/lib.sh", "utf8");
    const body = fs.readFileSync(`scripts/on-machine/${script}`, "utf8");

    it("puts the machine, the mark of the result, the constants, the library and the script in that order", () => {
        assert.equal(
            renderStep(script, "identity-1", { NODE: "worker-1", HANDLER: "runsc" }),
            `# machine identity-1\nprintf '\\n%s\\n' '==> result of the step'\nreadonly NODE='worker-1'\nreadonly HANDLER='runsc'\n${library}\n${body}`,
        );
    });

    it("finds the scripts from any directory, as hashes of what commands run do", () => {
        const [here, text, hash] = [
            process.cwd(),
            renderStep(script, "identity-1", {}),
            contentHash("scripts/on-host"),
        ];
        process.chdir(os.tmpdir());
        try {
            assert.equal(renderStep(script, "identity-1", {}), text);
            assert.equal(contentHash("scripts/on-host"), hash);
        } finally {
            process.chdir(here);
        }
    });

    it("keeps the order of the constants and gives the same text each time", () => {
        const values = { B: "2", A: "1", C: "3" };
        const text = renderStep(script, "identity-1", values);
        assert.equal(renderStep(script, "identity-1", { ...values }), text);
        assert.deepEqual(text.match(/(?<=^readonly )[ABC](?==)/gm), ["B", "A", "C"]);
    });

    it("differs with the machine, a value and the script", () => {
        const texts = [
            renderStep(script, "identity-1", { NODE: "a" }),
            renderStep(script, "identity-2", { NODE: "a" }),
            renderStep(script, "identity-1", { NODE: "b" }),
            renderStep("probe/host-facts.sh", "identity-1", { NODE: "a" }),
        ];
        assert.equal(new Set(texts).size, texts.length);
    });

    it("starts and ends so that bash has read all of it before anything runs", () => {
        const all = fs
            .readdirSync("scripts/on-machine", { recursive: true, encoding: "utf8" })
            .filter((file) => /^(gvisor|node|probe)\/.*\.sh$/.test(file));
        const libraries = ["probe/groups.sh", ...runtimeLibraries];
        for (const file of all.filter((one) => !libraries.includes(one))) {
            assert.match(renderStep(file, "identity-1", {}), /\nmain "\$@"\n$/, file);
        }
        for (const file of ["lib.sh", ...libraries]) {
            assert.doesNotMatch(fs.readFileSync(`scripts/on-machine/${file}`, "utf8"), /^main\b/m, file);
        }
        assert.ok(libraries.every((file) => all.includes(file)));
    });

    it("hands the constants to the script unchanged, however nasty or large", () => {
        const large = `${"0123456789'\\\n".repeat(80_000)}end`;
        const values = Object.fromEntries([...Object.values(nasty), large].map((value, index) => [`V${index}`, value]));
        const text = renderStep(script, "identity-1", values);
        const constants = text.slice(0, text.indexOf(library));
        const print = Object.keys(values).map((key) => `printf '%s\\0' "$${key}"\n`);
        assert.deepEqual(
            resultIn(bash(constants + print.join("")))
                .split("\0")
                .slice(0, -1),
            Object.values(values),
        );
    });

    it("makes constants that the script cannot change by mistake", () => {
        const text = renderStep(script, "identity-1", { NODE: "worker-1" });
        const constants = text.slice(0, text.indexOf(library));
        assert.throws(() => execFileSync("bash", ["-c", `${constants}NODE=other`], { stdio: "pipe" }), /readonly/);
    });
});
