import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { shellQuote } from "../../components/step.cjs";
import { mounts, skipWithout } from "../helpers/namespaces";

const library = path.resolve(__dirname, "../../scripts/on-machine/lib.sh");

describe("apt_source of scripts/on-machine/lib.sh", () => {
    // A mount namespace with empty directories in the place of apt's: the machine's own are out of reach.
    const isolated = (script: string) =>
        spawnSync("unshare", [...mounts, "bash", "-c", `${prelude}\nsource ${shellQuote(library)}\n${script}`], {
            encoding: "utf8",
            env: { ...process.env, TMPDIR: scratch },
        });
    const outcome = "([[ $changed == no ]] && echo unchanged || echo changed)";
    const directories = "/usr/share/keyrings /etc/apt/sources.list.d";
    const prelude = `set -e; for one in ${directories}; do mount -t tmpfs tmpfs $one; done`;
    const list = `find ${directories} -type f | sort`;

    let scratch: string;
    const fingerprints: string[] = [];
    const gpg = (...args: string[]) => {
        const { status, stdout, stderr } = spawnSync("gpg", ["--homedir", scratch, "--batch", "--quiet", ...args]);
        assert.equal(status, 0, stderr.toString());
        return stdout;
    };

    before(function () {
        scratch = fs.mkdtempSync(path.join(os.tmpdir(), "apt-"));
        skipWithout(this);
        for (const name of ["one", "two"]) {
            gpg(
                "--passphrase",
                "",
                "--quick-generate-key",
                `${name} <${name}@example.org>`,
                "ed25519",
                "sign",
                "never",
            );
            const colons = gpg("--list-keys", "--with-colons", `${name}@example.org`).toString();
            fingerprints.push(/^fpr:+([0-9A-F]{40}):$/m.exec(colons)?.[1] ?? "");
            fs.writeFileSync(path.join(scratch, `${name}.asc`), gpg("--armor", "--export", `${name}@example.org`));
            fs.writeFileSync(path.join(scratch, `${name}.gpg`), gpg("--export", `${name}@example.org`));
        }
        fs.writeFileSync(path.join(scratch, "both.gpg"), gpg("--export"));
        fs.writeFileSync(path.join(scratch, "page.html"), "<html>Not found</html>");
    });
    after(() => {
        spawnSync("gpgconf", ["--homedir", scratch, "--kill", "all"]);
        fs.rmSync(scratch, { recursive: true });
    });

    /** Registers it; `outcome` prints whether something was changed. */
    const add = (key: string, fingerprint: string, url = "https://example.org/debian", components = "main") =>
        `changed=no; apt_source lab ${url} stable '${components}' file://${path.join(scratch, key)} ${fingerprint}`;

    for (const form of ["one.asc", "one.gpg"]) {
        it(`registers a repository by a key of the right fingerprint (${form})`, () => {
            const { status, stdout, stderr } = isolated(
                `${add(form, fingerprints[0] ?? "")}; ${outcome}; ${list}\n` +
                    "cat /etc/apt/sources.list.d/lab.list; base64 -w0 /usr/share/keyrings/lab-archive-keyring.gpg",
            );
            assert.equal(status, 0, stderr);
            const architecture = spawnSync("dpkg", ["--print-architecture"], { encoding: "utf8" }).stdout.trim();
            assert.deepEqual(stdout.split("\n"), [
                "changed",
                "/etc/apt/sources.list.d/lab.list",
                "/usr/share/keyrings/lab-archive-keyring.gpg",
                `deb [arch=${architecture} signed-by=/usr/share/keyrings/lab-archive-keyring.gpg] ` +
                    "https://example.org/debian stable main",
                fs.readFileSync(path.join(scratch, "one.gpg")).toString("base64"),
            ]);
        });
    }

    it("changes nothing the second time, and only the list when the address moves", () => {
        const right = fingerprints[0] ?? "";
        const { status, stdout, stderr } = isolated(
            `${add("one.asc", right)}; ${add("one.asc", right)}; ${outcome}\n` +
                `${add("one.asc", right, "file:///srv/flat", "")}; ${outcome}; cut -d] -f2 /etc/apt/sources.list.d/lab.list`,
        );
        assert.equal(status, 0, stderr);
        assert.equal(stdout, "unchanged\nchanged\n file:///srv/flat stable\n");
        const logged = stderr.split("\n").filter((line) => line.includes(": changed "));
        assert.equal(logged.length, 3, stderr);
    });

    for (const [title, key, found] of [
        ["another key", "two.asc", () => fingerprints[1]],
        ["more keys than the one", "both.gpg", () => fingerprints.join(", ")],
        ["no key at all", "page.html", () => ""],
    ] as const) {
        it(`refuses ${title}, and changes nothing`, () => {
            const right = fingerprints[0] ?? "";
            const refused = isolated(`( ${add(key, right)} ) || ${list}`);
            assert.equal(refused.status, 0);
            assert.equal(refused.stdout, "");
            const address = `file://${path.join(scratch, key)}`;
            assert.ok(
                refused.stderr.endsWith(
                    `: error: the key at ${address} has the fingerprint '${found()}', expected ${right}; ` +
                        "nothing was changed. Find out whether lab changed its key before you trust it\n",
                ),
                refused.stderr,
            );
        });
    }

    const theirs = (form: string, keyring = "/usr/share/keyrings/theirs.gpg", url = "https://example.org/debian/") => {
        const [file, text] =
            form === "list"
                ? ["theirs.list", `# theirs\ndeb [arch=amd64${keyring && ` signed-by=${keyring}`}] ${url} stable main`]
                : [
                      "theirs.sources",
                      `Types: deb\nURIs: https://example.org/other ${url}\nSuites: stable testing\nComponents: main\n` +
                          `${keyring && `Signed-By: ${keyring}\n`}\nTypes: deb\nURIs: https://example.net\nSuites: x\n`,
                  ];
        return `printf '${text.replaceAll("\n", "\\n")}\\n' >/etc/apt/sources.list.d/${file}`;
    };
    const copied = (key: string) => `cp ${path.join(scratch, key)} /usr/share/keyrings/theirs.gpg`;

    for (const form of ["list", "sources"]) {
        it(`leaves it at an entry of somebody else's with the same key, and reads that one (${form})`, () => {
            const right = fingerprints[0] ?? "";
            const { status, stdout, stderr } = isolated(
                `${add("one.asc", right)}; ${copied("one.gpg")}; ${theirs(form)}
                ${add("one.asc", right)}; ${outcome}
                ${add("one.asc", right)}; ${outcome}; ls /etc/apt/sources.list.d
                apt-get() { echo "$@"; }; apt_update lab 2>&1 | grep -o 'sourcelist=[^ ]*'`,
            );
            const file = `theirs.${form}`;
            assert.deepEqual(
                [status, stdout],
                [0, `changed\nunchanged\n${file}\nsourcelist=/etc/apt/sources.list.d/${file}\n`],
                stderr,
            );
        });

        for (const [what, keyring, key, said] of [
            [
                "with another key",
                undefined,
                "two.gpg",
                /with \/usr\/share\/keyrings\/theirs\.gpg of the key [0-9A-F]{40}; expected is the key/,
            ],
            ["that names no keyring", "", "one.gpg", /already, with no keyring; expected is the key/],
        ] as const) {
            it(`refuses beside an entry ${what}, and changes nothing (${form})`, () => {
                const { status, stdout, stderr } = isolated(
                    `${copied(key)}; ${theirs(form, keyring)}; ( ${add("one.asc", fingerprints[0] ?? "")} ) || ${list}`,
                );
                assert.equal(status, 0, stderr);
                assert.equal(stdout, `/etc/apt/sources.list.d/theirs.${form}\n/usr/share/keyrings/theirs.gpg\n`);
                assert.match(stderr, said);
            });
        }
    }

    it("takes no entry for the same that is of another address or suite, or switched off", () => {
        const others = [
            theirs("list", "/x.gpg", "https://example.org/debian-security"),
            "echo 'deb https://example.org/debian testing main' >>/etc/apt/sources.list.d/theirs.list",
            "echo '#deb https://example.org/debian stable main' >>/etc/apt/sources.list.d/theirs.list",
            "printf 'Enabled: no\\nURIs: https://example.org/debian\\nSuites: stable\\n' >/etc/apt/sources.list.d/off.sources",
        ];
        const { status, stdout, stderr } = isolated(
            `${others.join("\n")}\n${add("one.asc", fingerprints[0] ?? "")}; ${outcome}`,
        );
        assert.deepEqual([status, stdout], [0, "changed\n"], stderr);
    });

    it("keeps what was registered when the key is another one later", () => {
        const right = fingerprints[0] ?? "";
        const all = "cat /etc/apt/sources.list.d/* /usr/share/keyrings/* | sha256sum";
        const { stdout } = isolated(`${add("one.asc", right)}; ${all}; ( ${add("two.asc", right)} ) || ${all}`);
        const [before, after] = stdout.trim().split("\n");
        assert.ok(before?.match(/^[0-9a-f]{64}/));
        assert.equal(after, before);
    });
});
