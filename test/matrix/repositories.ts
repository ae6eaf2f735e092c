import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { output, root, start } from "./machine";

/** gVisor's repository as the mirror has it, signed with a key of its own after `change` was run in it. */
export interface Repository {
    readonly fingerprint: string;
    /** Below the directory that is served. */
    readonly name: string;
}

/** Copies of gVisor's repository that something is wrong with, served over HTTP on an address of this host. */
export class Repositories {
    private readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), "matrix-"));
    private readonly server: http.Server;

    constructor(private readonly address: string) {
        this.server = http.createServer((request, response) => {
            const file = path.join(this.directory, path.normalize(request.url ?? "/"));
            if (request.url?.startsWith("/hello")) {
                // A proxy that asks people to log in answers everything, and says that all is well.
                response.end("<!DOCTYPE html><title>Please log in</title>");
            } else if (!fs.statSync(file, { throwIfNoEntry: false })?.isFile()) {
                response.writeHead(404).end("<!DOCTYPE html><title>Not found</title>");
            } else if (request.url?.startsWith("/cut")) {
                // A download that breaks off.
                response.writeHead(200, { "content-length": fs.statSync(file).size });
                response.write(fs.readFileSync(file).subarray(0, 100_000), () => response.destroy());
            } else {
                fs.createReadStream(file).pipe(response);
            }
        });
    }

    public async open(): Promise<void> {
        await new Promise<void>((resolve) => this.server.listen(0, this.address, resolve));
    }

    public close(): void {
        this.server.close();
        fs.rmSync(this.directory, { recursive: true });
    }

    public url(name: string): string {
        return `http://${this.address}:${(this.server.address() as AddressInfo).port}/${name}`;
    }

    /** Makes a copy; `change` is bash that runs in it, with a file Release that is signed afterwards. */
    public async repository(name: string, change: string): Promise<Repository> {
        const script = `
            set -euo pipefail
            cp -r .cache/mirror/apt/gvisor "$1"
            cd "$1/dists/release"
            GNUPGHOME=$(mktemp -d /tmp/gpg.XXXXXX)
            export GNUPGHOME
            trap 'gpgconf --kill all; rm -rf "$GNUPGHOME"' EXIT
            key() { gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-generate-key "$1" ed25519 sign never 2>/dev/null; }
            key matrix
            gpg --batch --quiet --armor --export matrix >"$1/key"
            ${change}
            rm -f Release.gpg
            gpg --batch --quiet --yes \${signer:+--local-user "$signer"} --clearsign --output InRelease Release
            gpg --batch --quiet --with-colons --list-keys matrix | awk -F: '$1 == "fpr" { print $10; exit }'`;
        const fingerprint = await output(
            `the repository ${name}`,
            start("bash", ["-c", script, "bash", path.join(this.directory, name)]),
        );
        return { name, fingerprint };
    }

    /** Packs an archive as gVisor's releases are, from the package of the mirror; `change` is bash that runs in it. */
    public async archive(name: string, change = ""): Promise<{ name: string; sha512: string }> {
        const script = `
            set -euo pipefail
            scratch=$(mktemp -d)
            trap 'rm -rf "$scratch"' EXIT
            dpkg-deb -x "$(find .cache/mirror/apt/gvisor/pool -name "runsc_$2_*.deb")" "$scratch"
            cd "$scratch/usr/bin"
            ${change}
            tar -czf "$1" *`;
        const file = path.join(this.directory, name);
        fs.mkdirSync(path.dirname(file), { recursive: true });
        const { packages } = JSON.parse(fs.readFileSync(path.join(root, ".cache/mirror/index.json"), "utf8")) as {
            packages: { runsc: { default: string } };
        };
        await output(`the archive ${name}`, start("bash", ["-c", script, "bash", file, packages.runsc.default]));
        return { name, sha512: createHash("sha512").update(fs.readFileSync(file)).digest("hex") };
    }
}
