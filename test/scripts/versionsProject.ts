import * as assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { copyCommandLine } from "./cliProject";

export const root = path.resolve(__dirname, "../..");

export interface Row {
    pin: string;
    pinned: string;
    compatible: string;
    newest: string;
    status: string;
    reason: string;
    vulnerabilities: { id: string }[];
    support?: { branch: string; ends: string; days: number };
}

export interface Pins {
    versions: {
        pulumi: { cli: string };
        containerd: { version: string };
        kubernetes: { version: string; minor: string };
        gvisor: { release: string; module: string };
        debian: { suite: string };
    };
    packages: { dependencies: Record<string, string>; devDependencies: Record<string, string> };
}

type Lists = Record<string, readonly string[]>;

export const load = (...name: string[]) => JSON.parse(fs.readFileSync(path.join(...name), "utf8")) as never;
export const pinned: Pins["versions"] = load(root, "versions.json");
export const packages: Pins["packages"] = load(root, "package.json");
/** A release of the same branch, newer than any pin. */
export const later = (version: string, patch = 90) => version.replace(/\d+$/, `${patch}`);

/** `npm run versions` in a directory of its own, with an npm, a go and an APT repository that answer what the test says. */
export class VersionsProject {
    public readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "versions-"));

    constructor() {
        const recipes = fs
            .readdirSync(path.join(root, "mirror/build"))
            .map((name) => `mirror/build/${name}/go.mod`)
            .filter((name) => fs.existsSync(path.join(root, name)));
        copyCommandLine(this.folder);
        for (const name of ["support.json", ...recipes]) {
            fs.cpSync(path.join(root, name), path.join(this.folder, name), { recursive: true });
        }
        this.write("vulnerabilities.json", []);
        // The day of the run is today's, so a pin that ends some day must not end a test.
        this.write("support.json", []);
        this.repository();
    }

    public remove(): void {
        fs.rmSync(this.folder, { recursive: true, force: true });
    }

    /** A file of data. */
    public write(name: string, value: unknown): void {
        fs.writeFileSync(path.join(this.folder, name), JSON.stringify(value));
    }

    /** A program that the command finds first. */
    public tool(name: string, script: string): void {
        fs.mkdirSync(path.join(this.folder, "bin"), { recursive: true });
        fs.writeFileSync(path.join(this.folder, "bin", name), script, { mode: 0o755 });
    }

    /**
     * npm and go that list these versions by name, and for every other name none newer than 0.0.1. What is unlisted has to
     * be asked for by its number. go writes down what it was asked.
     */
    public registry(listed: Lists, unlisted: Lists = {}): void {
        const cases = (shape: (list: readonly string[]) => unknown) =>
            Object.entries(listed).map(([name, list]) => `"${name}") echo '${JSON.stringify(shape(list))}';;`);
        this.tool("npm", `#!/bin/sh\ncase "$2" in\n${cases((list) => list).join("\n")}\n*) echo '"0.0.1"';;\nesac`);
        const there = [listed, unlisted].flatMap((lists) =>
            Object.entries(lists).flatMap(([name, list]) => list.map((version) => `"${name}@v${version}")`)),
        );
        const missing = "reading https://proxy.example/@v/list: 404 Not Found\\n\\tserver response: not found";
        this.tool(
            "go",
            `#!/bin/sh
echo "$*" >>${path.join(this.folder, "asked")}
for last in "$@"; do :; done
case "$*" in
*" -versions "*)
    case "$last" in
    ${cases((list) => ({ Versions: list.map((version) => `v${version}`) })).join("\n")}
    *) echo '{"Versions":["v0.0.1"]}';;
    esac;;
*@go) echo '{"Version":"v0.0.0-20990910000000-aaaaaaaaaaaa"}';;
*)
    for one in "$@"; do
        case "$one" in
        ${there.map((one) => `${one} echo "\${one#*@}";;`).join("\n")}
        *@v*) printf '%s "%s: %s"\\n' "\${one#*@}" "$one" '${missing}';;
        esac
    done;;
esac`,
        );
    }

    /** gVisor's APT repository, which has these releases. */
    public repository(...releases: string[]): void {
        const text = releases.map((one) => `Package: runsc\nArchitecture: amd64\nVersion: ${one}\n`).join("\n");
        fs.writeFileSync(
            path.join(this.folder, "fetch.mjs"),
            `globalThis.fetch = async () => new Response(${JSON.stringify(text)});`,
        );
    }

    /** Each question to go. */
    public asked(): string[] {
        return fs.readFileSync(path.join(this.folder, "asked"), "utf8").trim().split("\n");
    }

    /** Changes pins. */
    public change(edit: (pins: Pins) => void): void {
        const pins: Pins = {
            versions: load(this.folder, "versions.json"),
            packages: load(this.folder, "package.json"),
        };
        edit(pins);
        this.write("versions.json", pins.versions);
        this.write("package.json", pins.packages);
    }

    public async run(...args: string[]) {
        const child = spawn(process.execPath, ["cli/bootstrap.mjs", "versions", ...args], {
            cwd: this.folder,
            env: {
                ...process.env,
                NODE_OPTIONS: `--import=${path.join(this.folder, "fetch.mjs")}`,
                PATH: `${path.join(this.folder, "bin")}:${process.env.PATH}`,
            },
        });
        const text = { stdout: "", stderr: "" };
        for (const name of ["stdout", "stderr"] as const) {
            child[name].setEncoding("utf8").on("data", (part: string) => {
                text[name] += part;
            });
        }
        const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
        return { code, ...text };
    }

    /** Its rows by pin, after it has ended with this code. */
    public async rows(expected = 0): Promise<Map<string, Row>> {
        const { code, stdout, stderr } = await this.run("--json");
        assert.equal(code, expected, stderr);
        return new Map((JSON.parse(stdout) as Row[]).map((row) => [row.pin, row]));
    }
}
