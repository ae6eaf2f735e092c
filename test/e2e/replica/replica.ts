import { type ChildProcess, type ExecFileOptions, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
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

const execute = promisify(execFile);

async function run(command: string, args: readonly string[], options: ExecFileOptions = {}): Promise<string> {
    return (await execute(command, args, { cwd: root, encoding: "utf8", ...options })).stdout.toString().trim();
}

async function pack(archive: string, from: string, names: readonly string[], rename = "s,^,,"): Promise<void> {
    fs.mkdirSync(path.dirname(archive), { recursive: true });
    const how = ["--create", "--use-compress-program", "gzip -1", "--transform", rename];
    await run("tar", [...how, "--file", archive, "--directory", from, ...names]);
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
        const [keys] = await Promise.all([
            this.makeRepositories(pins),
            Promise.all([this.makeAuthority(), this.makeRegistry(), this.unpackImages()]).then(() => this.start()),
            this.makeRelease(pins.pulumi.cli),
            this.makePlugin("command"),
            this.makePlugin("kubernetes"),
            this.makeBootstrap(),
        ]);
        this.pin(keys);
    }

    /** Makes what the replicas have the copy's pins: keys, gVisor's release, digests of images. */
    private pin(keys: Pins["aptKeys"]): void {
        const file = this.file("project", "versions.json");
        const digests = JSON.parse(fs.readFileSync(this.file("images.json"), "utf8")) as Record<string, string>;
        const pins = JSON.parse(fs.readFileSync(file, "utf8"), (_, value) => {
            const name = typeof value === "string" ? value.replace(/@sha256:.*/, "") : "";
            return digests[name] === undefined ? value : `${name}@${digests[name]}`;
        }) as Pins;
        const { packages } = JSON.parse(fs.readFileSync(path.join(cache, "mirror", "index.json"), "utf8"));
        const release = packages.runsc.default;
        fs.writeFileSync(file, JSON.stringify({ ...pins, aptKeys: keys, gvisor: { ...pins.gvisor, release } }));
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
    private async makeAuthority(): Promise<void> {
        const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
        const [authority, authorityKey] = [this.file("authorities", "replica.crt"), this.file("authority.key")];
        fs.mkdirSync(path.dirname(authority));
        const own = ["-subj", "/CN=replica", "-keyout", authorityKey, "-out", authority];
        await run("openssl", ["req", "-x509", ...key, ...own]);
        const names = `subjectAltName=${hosts.map((host) => `DNS:${host}`).join(",")}`;
        const signer = ["-CA", authority, "-CAkey", authorityKey, "-addext", "basicConstraints=critical,CA:FALSE"];
        const server = ["-subj", "/CN=replicas", "-keyout", this.file("server.key"), "-out", this.file("server.crt")];
        await run("openssl", ["req", "-x509", ...key, ...signer, "-addext", names, ...server]);
        fs.copyFileSync(authority, this.file("bundle.crt"));
        this.write("resolv.conf", `nameserver ${address}\n`);
    }

    private async makeRegistry(): Promise<void> {
        const env = { ...process.env, CGO_ENABLED: "0", GOWORK: "off", GOFLAGS: "", GOTOOLCHAIN: "local" };
        const build = ["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", this.file("bin/registry"), "."];
        await run("go", build, { cwd: path.join(__dirname, "registry"), env });
    }

    /** What stands for the download of Debian: the base image of this checkout. */
    private async makeBootstrap(): Promise<void> {
        const made = await run("bash", ["scripts/local/base.sh", "build"], {
            env: { ...process.env, CACHE_DIR: cache },
        });
        const { path: base } = JSON.parse(made) as { path: string };
        const copy = `#!/bin/sh\nfor last; do case $last in */base/.draft) cp -a '${base}' "$last" ;; esac; done\n`;
        this.write("bin/mmdebstrap", copy, 0o755);
    }

    /** Pulumi's release: the engine and the language host that are here. */
    private async makeRelease(version: string): Promise<void> {
        const chosen = JSON.parse(fs.readFileSync(path.join(cache, "toolchain.json"), "utf8")) as { pulumi: string };
        const from = path.dirname(fs.realpathSync(chosen.pulumi));
        const name = `pulumi-v${version}-linux-${process.arch}.tar.gz`;
        const archive = this.served(`get.pulumi.com/releases/sdk/${name}`);
        await pack(archive, from, ["pulumi", "pulumi-language-nodejs"], "s,^,pulumi/,");
        const sum = createHash("sha256").update(fs.readFileSync(archive)).digest("hex");
        fs.writeFileSync(path.join(archive, `../pulumi-${version}-checksums.txt`), `${sum}  ${name}\n`);
    }

    /** A plug-in of Pulumi's: the stand-in, in an archive as theirs is. */
    private async makePlugin(name: string): Promise<void> {
        const { dependencies } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));
        const version = dependencies[`@pulumi/${name}`];
        const folder = this.file("plugins", name);
        await build({
            entryPoints: [path.join(root, "plugins", name, "main.ts")],
            outfile: path.join(folder, "main.cjs"),
            bundle: true,
            platform: "node",
            external: ["cpu-features", "*.node"],
        });
        const program = `pulumi-resource-${name}`;
        const node = path.join(root, "node_modules", ".bin", "node");
        fs.writeFileSync(path.join(folder, program), `#!/bin/sh\nexec '${node}' "\${0%/*}/main.cjs" "$@"\n`, {
            mode: 0o755,
        });
        const place = `release-assets.githubusercontent.com/pulumi/pulumi-${name}/releases/download/v${version}`;
        const archive = this.served(`${place}/${program}-v${version}-linux-${architecture}.tar.gz`);
        await pack(archive, folder, [program, "main.cjs"]);
    }

    /** The repositories, each with a key of its own. */
    private async makeRepositories(pins: Pins): Promise<Pins["aptKeys"]> {
        const minor = pins.kubernetes.version.split(".").slice(0, 2).join(".");
        const packages = `prod-cdn.packages.k8s.io/repositories/isv:/kubernetes:/core:/stable:/v${minor}/deb`;
        const places = {
            kubernetes: [packages, `${packages}/Release.key`, "deb"],
            containerd: ["download.docker.com/linux/debian", "download.docker.com/linux/debian/gpg", pins.debian.suite],
            gvisor: ["storage.googleapis.com/gvisor/releases", "gvisor.dev/archive.key", "release"],
        };
        const made = Object.entries(places).map(async ([name, [directory = "", key = "", suite = ""]]) => {
            const args = [name, this.served(directory), this.served(key), suite];
            const env = { ...process.env, MIRROR_KEY_DIR: this.file("keys", name) };
            const fingerprint = await run("bash", [path.join(__dirname, "repository.sh"), ...args], { env });
            return [name, { ...pins.aptKeys[name as "gvisor"], fingerprint }];
        });
        return Object.fromEntries(await Promise.all(made)) as Pins["aptKeys"];
    }

    private async unpackImages(): Promise<void> {
        const from = path.join(cache, "mirror", "images");
        for (const name of fs.readdirSync(from).filter((one) => one.endsWith(".tar"))) {
            const folder = this.file("images", name);
            fs.mkdirSync(folder, { recursive: true });
            await run("tar", ["--extract", "--file", path.join(from, name), "--directory", folder]);
        }
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
