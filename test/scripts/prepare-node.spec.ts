// Packages and images of scripts/on-machine/node/prepare-node.sh, with a mirror made for the test, real signatures, and containerd
// and apt played by scripts that note what they are asked for.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { shellQuote } from "../../components/step.cjs";
import { mounts, skipWithout } from "../helpers/namespaces";

const root = path.resolve(__dirname, "../..");
const read = (...parts: string[]) => fs.readFileSync(path.join(...parts), "utf8");
const sha256 = (content: string) => createHash("sha256").update(content).digest("hex");

describe("prepare-node.sh", () => {
    let scratch: string;
    let server: http.Server;
    let fingerprint: string;
    const at = (...parts: string[]) => path.join(scratch, ...parts);
    const gpg = (...args: string[]) => {
        const { status, stdout, stderr } = spawnSync("gpg", ["--homedir", at("gpg"), "--batch", "--quiet", ...args]);
        assert.equal(status, 0, stderr.toString());
        return stdout;
    };
    const newKey = (name: string) =>
        gpg("--passphrase", "", "--quick-generate-key", `${name} <${name}@example.org>`, "ed25519", "sign", "never");
    const tool = (name: string, script: string) =>
        fs.writeFileSync(at("bin", name), `#!/bin/bash\n${script}\n`, { mode: 0o755 });

    /** What a call of a part of the script did: its exit code, what it said, and what it asked containerd or apt for. */
    interface Call {
        readonly code: number;
        readonly said: string;
        readonly asked: readonly string[];
    }

    /**
     * Calls a function of the script once for each set of constants, each time as a step of its own, on one machine: a
     * mount namespace in which the directories of packages and containers are empty ones.
     */
    async function calls(what: string, constants: readonly Readonly<Record<string, string>>[]): Promise<Call[]> {
        const script = read(root, "scripts/on-machine/node/prepare-node.sh").replace(/^main "\$@"\n/m, "");
        const apt = {
            url: "https://mirror.example",
            suite: "/",
            components: "",
            key: `file://${at("mirror/archive.key")}`,
        };
        const repositories = ["KUBERNETES", "CONTAINERD"].flatMap((name) =>
            Object.entries({ ...apt, fingerprint }).map(
                ([key, value]) => [`${name}_${key.toUpperCase()}`, value] as const,
            ),
        );
        const tools = `PATH=${at("bin")}:$PATH TMPDIR=${scratch}; export TMPDIR`;
        constants.forEach((own, number) => {
            const all = [...repositories, ...Object.entries(own)];
            const lines = all.map(([key, value]) => `readonly ${key}=${shellQuote(value)}\n`).join("");
            fs.writeFileSync(
                at(`step-${number}`),
                `${lines}${read(root, "scripts/on-machine/lib.sh")}\n${tools}\n${script}\n${what}\n`,
            );
        });
        const directories = "/var/lib /usr/share/keyrings /etc/apt/sources.list.d";
        const child = spawn(
            "unshare",
            [
                ...[...mounts, "bash", "-c"],
                `set -e; for one in ${directories}; do mount -t tmpfs tmpfs $one; done; set +e
                cp ${at("mirror/archive.gpg")} /usr/share/keyrings/kubernetes-archive-keyring.gpg
                for ((number = 0; number < ${constants.length}; number++)); do
                    export ASKED=${at("asked-")}$number
                    : >$ASKED
                    bash ${at("step-")}$number 2>${at("said-")}$number
                    echo $? >${at("code-")}$number
                done
                ls /var/lib/containerd-imports >${at("left")} 2>&1 || true`,
            ],
            { env: { ...process.env, SCRATCH: scratch } },
        );
        let said = "";
        child.stderr.on("data", (part: Buffer) => {
            said += part.toString();
        });
        const code = await new Promise((resolve) => child.on("close", resolve));
        assert.equal(code, 0, said);
        return constants.map((_, number) => ({
            code: Number(read(at(`code-${number}`))),
            said: read(at(`said-${number}`)),
            asked: read(at(`asked-${number}`))
                .split("\n")
                .slice(0, -1),
        }));
    }

    before(function () {
        scratch = fs.mkdtempSync(path.join(os.tmpdir(), "prepare-"));
        skipWithout(this);
        for (const directory of ["gpg", "bin"]) {
            fs.mkdirSync(at(directory), { mode: 0o700 });
        }
        newKey("mirror");
        newKey("stranger");
        fingerprint =
            /^fpr:+([0-9A-F]{40}):$/m.exec(gpg("--list-keys", "--with-colons", "mirror").toString())?.[1] ?? "";
        server = http.createServer((request, response) => {
            const file = at("mirror", request.url ?? "");
            // Neither size nor date: there are servers like that.
            response.writeHead(fs.existsSync(file) ? 200 : 404, { "Transfer-Encoding": "chunked" });
            response.end(fs.existsSync(file) ? fs.readFileSync(file) : "");
        });
        server.listen(0, "127.0.0.1");
    });
    after(() => {
        spawnSync("gpgconf", ["--homedir", at("gpg"), "--kill", "all"]);
        server?.close();
        fs.rmSync(scratch, { recursive: true });
    });

    describe("images", () => {
        const archive = "images/worker-1.36.5.tar";
        const file = () => `file://${at("mirror", archive)}`;
        const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/${archive}`;
        const imported = (content: string) => [`--namespace k8s.io images import --local ${sha256(content)}`];
        const put = (content: string) => fs.writeFileSync(at("mirror", archive), content);
        const importImages = (...images: string[]) =>
            calls(
                "import_images",
                images.map((IMAGES) => ({ IMAGES })),
            );

        /** Writes the table of contents as a build of the mirror does, signed with a key. */
        function index(key: string): void {
            const { status, stderr } = spawnSync("node", ["mirror/index.ts", "write", at("mirror"), "key"], {
                cwd: root,
                encoding: "utf8",
            });
            assert.equal(status, 0, stderr);
            gpg("--yes", "--armor", "--local-user", key, "--detach-sign", at("mirror/index.json"));
        }

        /** It is refused with this text, and containerd gets nothing. */
        async function refused(images: string, text: string): Promise<void> {
            const [call] = await importImages(images);
            assert.equal(call?.code, 1, call?.said);
            assert.ok(call.said.includes(text), call.said);
            assert.deepEqual(call.asked, []);
            assert.equal(read(at("left")), "");
        }

        before(() => {
            tool("ctr", 'echo "$1 $2 $3 $4 $5 $(sha256sum <"$6" | cut -d" " -f1)" >>"$ASKED"');
        });
        beforeEach(() => {
            fs.rmSync(at("mirror"), { recursive: true, force: true });
            fs.mkdirSync(at("mirror/images"), { recursive: true });
            fs.writeFileSync(at("mirror/archive.gpg"), gpg("--export", "mirror"));
            fs.writeFileSync(at("mirror/fingerprint"), fingerprint);
            put("the images");
            index("mirror");
        });

        it("are imported once, by the digest in the index that the mirror's key signs", async () => {
            for (const from of [file(), url()]) {
                const [first, second] = await importImages(from, from);
                assert.deepEqual([first?.code, first?.asked], [0, imported("the images")], first?.said);
                assert.deepEqual([second?.code, second?.asked], [0, []], second?.said);
                assert.equal(read(at("left")), `${sha256("the images")}\n`);
            }
        });

        it("are imported again where others have taken their tags meanwhile", async () => {
            fs.writeFileSync(at("mirror/images/other.tar"), "other images");
            index("mirror");
            const calls = await importImages(file(), file().replace(archive, "images/other.tar"), file());
            assert.deepEqual(
                calls.map((one) => one.asked),
                [imported("the images"), imported("other images"), imported("the images")],
            );
        });

        it("that were changed on their way are refused", async () => {
            put("other images");
            for (const from of [file(), url()]) {
                await refused(
                    from,
                    `error: the images at ${from} have the SHA-256 ${sha256("other images")}, ` +
                        `expected ${sha256("the images")}; they were not imported`,
                );
            }
        });

        it("of a mirror whose index was changed, or was signed by somebody else, are refused", async () => {
            const text = `/index.json is not signed by the mirror's key, ${fingerprint}; no images were imported`;
            put("other images");
            const signature = read(at("mirror/index.json.asc"));
            index("mirror");
            fs.writeFileSync(at("mirror/index.json.asc"), signature);
            await refused(url(), text);
            index("stranger");
            await refused(url(), text);
            fs.rmSync(at("mirror/index.json.asc"));
            await refused(url(), `error: cannot fetch ${url().replace(archive, "index.json.asc")}`);
        });

        it("that the mirror's index does not name are refused, and those that it names are told", async () => {
            const other = "images/worker-1.37.2.tar";
            fs.writeFileSync(at("mirror", other), "images");
            await refused(
                url().replace(archive, other),
                `/index.json has no digest of ${other}; it has those of ${archive}. Set kubernetesVersion to one of these`,
            );
        });

        it("that are not there are refused", async () => {
            fs.rmSync(at("mirror", archive));
            await refused(url(), `error: cannot fetch ${url()}`);
            await refused(file(), `error: the images at ${file()} cannot be read`);
        });
    });

    describe("packages", () => {
        beforeEach(() => {
            fs.mkdirSync(at("mirror"), { recursive: true });
            fs.writeFileSync(at("mirror/archive.gpg"), gpg("--export", "mirror"));
            fs.writeFileSync(at("mirror/archive.key"), gpg("--armor", "--export", "mirror"));
            tool("dpkg", "echo amd64");
            tool("apt-mark", "");
            tool("apt-cache", "");
            // Knows what is installed.
            tool("dpkg-query", '[[ $3 == kubelet && -e $SCRATCH/installed ]] && echo "ii $(<"$SCRATCH/installed")"');
            // An index can be read once the network is there; what is installed has to be in one.
            tool(
                "apt-get",
                `echo "$1" >>"$ASKED"
                if [[ $1 == update ]]; then
                    [[ ! -e $SCRATCH/offline ]] || { rm "$SCRATCH/offline"; echo "E: Temporary failure resolving"; exit 100; }
                    cp "$SCRATCH/published" "$SCRATCH/lists"
                else
                    for one in "$@"; do
                        [[ $one == kubelet=* ]] || continue
                        grep -qxF "$one" "$SCRATCH/lists" || { echo "E: Version for kubelet was not found"; exit 100; }
                        echo "\${one#*=}" >"$SCRATCH/installed"
                    done
                fi`,
            );
            for (const name of ["installed", "lists", "offline"]) {
                fs.rmSync(at(name), { force: true });
            }
        });
        /** Each run wants a version of kubelet, after the repositories have come to hold what is published. */
        const install = (...runs: { wanted: string; published: string }[]) =>
            calls(
                `printf '%s\\n' $PUBLISHED >${at("published")}; install_packages`,
                runs.map(({ wanted, published }) => ({ PACKAGES: `kubelet=${wanted}`, PUBLISHED: published })),
            );
        const older = { wanted: "1.36.5-1.1", published: "kubelet=1.36.5-1.1" };

        it("are installed by the run after one in which apt could not read the repositories", async () => {
            fs.writeFileSync(at("offline"), "");
            const [first, second, third] = await install(older, older, older);
            assert.equal(first?.code, 1);
            assert.match(first.said, /error: apt cannot read the repository kubernetes .*Temporary failure resolving/s);
            assert.equal(second?.code, 0, second?.said);
            assert.deepEqual(second?.asked, ["update", "update", "install"]);
            assert.deepEqual([third?.code, third?.asked], [0, []], third?.said);
        });

        it("of a version that the repositories have only had for a while are found", async () => {
            const newer = { wanted: "1.36.6-1.1", published: "kubelet=1.36.5-1.1 kubelet=1.36.6-1.1" };
            const [first, second] = await install(older, newer);
            assert.equal(first?.code, 0, first?.said);
            assert.equal(second?.code, 0, second?.said);
            assert.equal(read(at("installed")), "1.36.6-1.1\n");
        });
    });
});
