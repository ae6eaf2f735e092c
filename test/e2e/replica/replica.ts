import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { buildSync } from "esbuild";
import type { Place } from "../stack";
import { hosts } from "./upstream";

const root = path.resolve(__dirname, "../../..");
const cache = path.join(root, ".cache");
/** For documentation (RFC 5737): no host has it, and no route leads to it. */
const address = "203.0.113.1";
const architecture = { x64: "amd64", arm64: "arm64" }[process.arch as "x64" | "arm64"];

interface Pins {
    pulumi: { cli: string };
    kubernetes: { version: string };
    gvisor: { release: string };
    debian: { suite: string };
    aptKeys: Record<"kubernetes" | "containerd" | "gvisor", { fingerprint: string }>;
}

function run(
    command: string,
    args: readonly string[],
    options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): string {
    const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", cwd: root, ...options });
    if (status !== 0) {
        throw new Error(`${command} ${args.join(" ")} ended with ${status}: ${error?.message ?? stderr}`);
    }
    return stdout.trim();
}

/** Changes every text in a JSON document. */
function texts(value: unknown, change: (text: string) => string): unknown {
    if (typeof value === "string") {
        return change(value);
    }
    if (Array.isArray(value)) {
        return value.map((one) => texts(one, change));
    }
    return value !== null && typeof value === "object"
        ? Object.fromEntries(Object.entries(value).map(([key, one]) => [key, texts(one, change)]))
        : value;
}

/**
 * What people with internet access reach, on a network that ends here: packages, images, Pulumi's release and plug-ins,
 * made of what this checkout has built, under upstream's names and URLs. And a copy of the project that has these keys and
 * digests for its pins; it differs in nothing else.
 */
export class Replica {
    public readonly directory = fs.mkdtempSync(path.join(cache, "replica-"));
    public readonly project = path.join(this.directory, "project");
    private server?: ChildProcess;

    private file(...parts: string[]): string {
        return path.join(this.directory, ...parts);
    }

    /** The file that is served at a URL. */
    public served(url: string): string {
        return this.file("www", url);
    }

    private write(name: string, content: string, mode = 0o644): void {
        fs.mkdirSync(path.dirname(this.file(name)), { recursive: true });
        fs.writeFileSync(this.file(name), content, { mode });
    }

    /** Makes it all, and starts the servers. */
    public async open(): Promise<void> {
        this.copyProject();
        const pins = JSON.parse(fs.readFileSync(this.file("project", "versions.json"), "utf8")) as Pins;
        this.makeAuthority();
        this.makeTools();
        this.makeRelease(pins.pulumi.cli);
        this.makePlugins();
        const fingerprints = this.makeRepositories(pins);
        const archives = path.join(cache, "mirror", "images");
        for (const archive of fs.readdirSync(archives).filter((name) => name.endsWith(".tar"))) {
            fs.mkdirSync(this.file("images", archive), { recursive: true });
            run("tar", [
                "--extract",
                "--file",
                path.join(archives, archive),
                "--directory",
                this.file("images", archive),
            ]);
        }
        await this.start();
        const digests = JSON.parse(fs.readFileSync(this.file("images.json"), "utf8")) as Record<string, string>;
        pins.aptKeys = fingerprints;
        const { packages } = JSON.parse(fs.readFileSync(path.join(cache, "mirror", "index.json"), "utf8"));
        pins.gvisor.release = packages.runsc.default;
        this.pin((text) => {
            const name = text.replace(/@sha256:.*/, "");
            return digests[name] === undefined ? text : `${name}@${digests[name]}`;
        }, pins);
    }

    /** Changes texts of versions.json in the copy. */
    public pin(change: (text: string) => string, pins: unknown = this.pins()): void {
        fs.writeFileSync(this.file("project", "versions.json"), JSON.stringify(texts(pins, change), undefined, 2));
    }

    /** Changes a file of the copy. */
    public edit(name: string, from: string, to: string): void {
        const text = fs.readFileSync(this.file("project", name), "utf8");
        if (!text.includes(from)) {
            throw new Error(`${name} holds no ${from}`);
        }
        fs.writeFileSync(this.file("project", name), text.replaceAll(from, to));
    }

    /** Answers a digest with another image: what the registry stores under it is the contents of `digest`. */
    public forge(repository: string, digest: string, wrong: string): void {
        const stored = (one: string) => {
            const hex = one.replace("sha256:", "");
            return this.file("registry/docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
        };
        fs.mkdirSync(path.dirname(stored(wrong)), { recursive: true });
        fs.copyFileSync(stored(digest), stored(wrong));
        const revisions = `registry/docker/registry/v2/repositories/${repository}/_manifests/revisions/sha256`;
        this.write(`${revisions}/${wrong.replace("sha256:", "")}/link`, wrong);
    }

    private pins(): unknown {
        return JSON.parse(fs.readFileSync(this.file("project", "versions.json"), "utf8"));
    }

    private copyProject(): void {
        const left = /^(\.git|\.cache|\.local|\.pulumi|node_modules|Pulumi\..+\.yaml)$/;
        for (const name of fs.readdirSync(root).filter((one) => !left.test(one))) {
            fs.cpSync(path.join(root, name), path.join(this.project, name), {
                recursive: true,
                verbatimSymlinks: true,
            });
        }
        fs.symlinkSync(path.join(root, "node_modules"), path.join(this.project, "node_modules"));
    }

    /** An authority that is trusted in the replica's network only, and the servers' certificate. */
    private makeAuthority(): void {
        const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
        const [authority, authorityKey] = [this.file("authorities", "replica.crt"), this.file("authority.key")];
        fs.mkdirSync(path.dirname(authority));
        run("openssl", ["req", "-x509", ...key, "-subj", "/CN=replica", "-keyout", authorityKey, "-out", authority]);
        const names = `subjectAltName=${hosts.map((host) => `DNS:${host}`).join(",")}`;
        const signer = ["-CA", authority, "-CAkey", authorityKey, "-addext", "basicConstraints=critical,CA:FALSE"];
        const server = ["-keyout", this.file("server.key"), "-out", this.file("server.crt")];
        run("openssl", ["req", "-x509", ...key, ...signer, "-subj", "/CN=replicas", "-addext", names, ...server]);
        this.write("bundle.crt", fs.readFileSync(authority, "utf8"));
        this.write("resolv.conf", `nameserver ${address}\n`);
    }

    /** Programs: the registry, and what stands for the download of Debian. */
    private makeTools(): void {
        const env = { ...process.env, CGO_ENABLED: "0", GOWORK: "off", GOFLAGS: "", GOTOOLCHAIN: "local" };
        const build = ["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", this.file("bin/registry"), "."];
        run("go", build, { cwd: path.join(__dirname, "registry"), env });
        const made = run("bash", ["scripts/local/base.sh", "build"], { env: { ...process.env, CACHE_DIR: cache } });
        const { path: base } = JSON.parse(made) as { path: string };
        const copy = `#!/bin/sh\nfor last; do case $last in */base/.draft) cp -a '${base}' "$last" ;; esac; done\n`;
        this.write("bin/mmdebstrap", copy, 0o755);
    }

    /** Pulumi's release: the engine and the language host that are here. */
    private makeRelease(version: string): void {
        const { pulumi } = JSON.parse(fs.readFileSync(path.join(cache, "toolchain.json"), "utf8")) as {
            pulumi: string;
        };
        const name = `pulumi-v${version}-linux-${process.arch}.tar.gz`;
        const folder = this.served("get.pulumi.com/releases/sdk");
        const from = path.dirname(fs.realpathSync(pulumi));
        this.archive(path.join(folder, name), from, ["pulumi", "pulumi-language-nodejs"], "s,^,pulumi/,");
        const sum = createHash("sha256")
            .update(fs.readFileSync(path.join(folder, name)))
            .digest("hex");
        fs.writeFileSync(path.join(folder, `pulumi-${version}-checksums.txt`), `${sum}  ${name}\n`);
    }

    /** Pulumi's plug-ins: the stand-ins, in archives as theirs are. */
    private makePlugins(): void {
        const { dependencies } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));
        const node = path.join(root, "node_modules", ".bin", "node");
        for (const name of ["command", "kubernetes"]) {
            const version = dependencies?.[`@pulumi/${name}`];
            const folder = this.file("plugins", name);
            buildSync({
                entryPoints: [path.join(root, "plugins", name, "main.ts")],
                outfile: path.join(folder, "main.cjs"),
                ...{
                    bundle: true,
                    platform: "node",
                    format: "cjs",
                    external: ["cpu-features", "*.node"],
                    logLevel: "error",
                },
            });
            const program = `pulumi-resource-${name}`;
            const launcher = `#!/bin/sh\nexec '${node}' "\${0%/*}/main.cjs" "$@"\n`;
            fs.writeFileSync(path.join(folder, program), launcher, { mode: 0o755 });
            const place = `release-assets.githubusercontent.com/pulumi/pulumi-${name}/releases/download/v${version}`;
            const archive = this.served(`${place}/${program}-v${version}-linux-${architecture}.tar.gz`);
            this.archive(archive, folder, [program, "main.cjs"]);
        }
    }

    private archive(file: string, from: string, names: readonly string[], rename = "s,^,,"): void {
        fs.mkdirSync(path.dirname(file), { recursive: true });
        const how = ["--create", "--use-compress-program", "gzip -1", "--transform", rename];
        run("tar", [...how, "--file", file, "--directory", from, ...names]);
    }

    /** The repositories, each with a key of its own. */
    private makeRepositories(pins: Pins): Pins["aptKeys"] {
        const minor = pins.kubernetes.version.split(".").slice(0, 2).join(".");
        const packages = `prod-cdn.packages.k8s.io/repositories/isv:/kubernetes:/core:/stable:/v${minor}/deb`;
        const places = {
            kubernetes: [packages, `${packages}/Release.key`, "deb"],
            containerd: ["download.docker.com/linux/debian", "download.docker.com/linux/debian/gpg", pins.debian.suite],
            gvisor: ["storage.googleapis.com/gvisor/releases", "gvisor.dev/archive.key", "release"],
        };
        const made = Object.entries(places).map(([name, [directory = "", key = "", suite = ""]]) => {
            const args = [name, this.served(directory), this.served(key), suite];
            const env = { ...process.env, MIRROR_KEY_DIR: this.file("keys", name) };
            const fingerprint = run("bash", [path.join(__dirname, "repository.sh"), ...args], { env });
            return [name, { ...pins.aptKeys[name as "gvisor"], fingerprint }];
        });
        return Object.fromEntries(made) as Pins["aptKeys"];
    }

    private async start(): Promise<void> {
        const script = path.join(__dirname, "network.sh");
        const server = [
            process.execPath,
            "--import",
            "tsx",
            path.join(__dirname, "server.ts"),
            this.directory,
            address,
        ];
        this.server = spawn(
            "unshare",
            ["--net", "--mount", "--propagation", "slave", "bash", script, this.directory, address, ...server],
            { cwd: root, stdio: ["pipe", "pipe", "inherit"] },
        );
        const { server: started } = this;
        await new Promise<void>((resolve, reject) => {
            started.stdout?.once("data", () => resolve());
            started.once("exit", (code) => reject(new Error(`the replica's server ended with ${code}`)));
        });
    }

    public async close(): Promise<void> {
        if (this.server?.exitCode === null) {
            const ended = new Promise((resolve) => this.server?.once("exit", resolve));
            this.server.stdin?.end();
            await ended;
        }
        fs.rmSync(this.directory, { recursive: true, force: true });
    }

    /** Requests so far, as "STATUS METHOD URL". */
    public requests(): string[] {
        return fs.readFileSync(this.file("requests.log"), "utf8").trim().split("\n");
    }

    /** Where stacks of the copy are run: in the replica's network, with what a user's shell has there. */
    public place(): Place {
        const foreign = /^PULUMI_|^RUNTIME_SANDBOXES_|_proxy$|^(SSL_CERT|CURL_CA)_/i;
        const kept = Object.entries(process.env).filter(([name]) => !foreign.test(name));
        const folders = (process.env.PATH ?? "")
            .split(":")
            .filter((folder) => !fs.existsSync(path.join(folder, "pulumi")));
        return {
            directory: this.project,
            within: ["nsenter", "--target", String(this.server?.pid), "--net", "--mount", "env", "-C", this.project],
            env: {
                ...Object.fromEntries(kept),
                PATH: [this.file("bin"), ...folders].join(":"),
                NODE_EXTRA_CA_CERTS: this.file("authorities", "replica.crt"),
            },
        };
    }
}
