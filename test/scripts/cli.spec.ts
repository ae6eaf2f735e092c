// The command line without an engine: arguments, environment, stamps, locks, the set-up's choices.
import * as assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { eventually } from "../helpers/eventually";
import { CliProject } from "./cliProject";

describe("command line", function () {
    this.timeout(180_000);
    let project: CliProject;

    beforeEach(() => {
        project = new CliProject();
    });
    afterEach(() => project.remove());

    it("answers a wrong command, argument or stack name with one sentence", async () => {
        const cases: [string, string[], RegExp][] = [
            ["dev", ["deploy"], /^error: there is no command "deploy"\.\nUsage: /],
            ["dev", ["test", "integration"], /^error: test "integration" is not known; allowed: unit, /],
            [
                "dev",
                ["test", "unit", "--times"],
                /^error: bench\/tests\.md has the times of all suites, not of unit alone\./,
            ],
            [
                "dev",
                ["setup", "--for", "fun"],
                /^error: setup: .*--for.* 'fun' is invalid\. Allowed choices are preview, up, /,
            ],
            ["dev", ["up", "--stack", "x"], /^error: --stack cannot be given here: the stack is chosen by STACK\./],
            ["dev", ["destroy", "--stack=x"], /^error: --stack=x cannot be given here/],
            [
                "dev",
                ["up", "--config", "target=gcp"],
                /^error: --config cannot be given here: .*\n {2}next: .*config set/,
            ],
            ["dev", ["up", "-ctarget=gcp"], /^error: -ctarget=gcp cannot be given here: .*one file/],
            [
                "dev",
                ["preview", "--config-file=a.yaml"],
                /^error: --config-file=a.yaml cannot be given here: .*one file/,
            ],
            ["dev", ["preview", "--", "--config-path", "-c", "a=b"], /^error: --config-path cannot be given here: /],
            ["dev", ["test", "--times", "unit"], /^error: --times is "unit"; allowed: a file\./],
            [
                "dev",
                ["drift", "--fix"],
                /^error: drift does not know "--fix"; allowed: --json\.\n {2}next: .*drift -- --help/,
            ],
            ["dev", ["drift", "all"], /^error: drift takes no argument, not all\.\n {2}next: /],
            ["dev", ["verify", "--", "--fix"], /^error: verify does not know "--fix"; allowed: no option\./],
            ["../x", ["up"], /^error: STACK is "\.\.\/x"; allowed: letters, digits, /],
            ["..", ["up"], /^error: STACK is "\.\."; allowed/],
            ["passphrase", ["destroy"], /^error: STACK is "passphrase"; allowed/],
        ];
        for (const [stack, args, sentence] of cases) {
            project.env.STACK = stack;
            const { code, stderr } = await project.run(...args);
            assert.equal(code, 2, `${args.join(" ")}: ${stderr}`);
            assert.match(stderr, sentence);
        }
        for (const [args, said] of [
            [[], /^Usage: npm run COMMAND, or: [\s\S]*^STACK=name picks another stack than dev\.$[\s\S]*^ {2}up /m],
            [["help"], /^Usage: npm run COMMAND, or: /],
            [["--help"], /^Usage: npm run COMMAND, or: /],
            [["up", "--help"], /^Usage: npm run up -- .*\[ARGS\.\.\.\]$/m],
            [["destroy", "--", "-h"], /^Usage: npm run destroy -- /],
            [
                ["help", "test"],
                /^Usage: npm run test -- .*\[SUITE\]$[\s\S]*--times \[FILE\][\s\S]*walk \[ARGS\.\.\.\]/m,
            ],
        ] as const) {
            const { code, stdout, stderr } = await project.run(...args);
            assert.equal(code, 0, stderr);
            assert.match(stdout, said);
        }
        assert.equal(project.exists(".cache"), false, "nothing was set up for it");
    });

    it("goes on where nobody reads what it says any more", () => {
        // Nobody reads from the first byte on: the reader is gone before the command begins.
        const piped = `(sleep 0.2; node cli/bootstrap.mjs help; echo "ended with $?" >&2) | true`;
        const { stderr } = spawnSync("bash", ["-c", piped], { cwd: project.directory, encoding: "utf8" });
        assert.equal(stderr, "ended with 0\n");
    });

    it("has nothing to destroy, and nothing to set up for it, where there is no stack", async () => {
        const { code, stdout } = await project.run("destroy");
        assert.equal(code, 0);
        assert.equal(stdout, "stack dev does not exist: nothing to destroy\n");
        assert.equal(project.exists(".cache/toolchain.json"), false);
    });

    it("sets up once: a second run writes nothing and says nothing", async () => {
        const first = await project.run("setup", "--for", "preview");
        assert.equal(first.code, 0, first.stderr);
        assert.match(first.stderr, /setup: done/);
        const chosen = project.read(".cache/toolchain.json");
        assert.equal((JSON.parse(chosen) as { cli: string }).cli, "user");
        const written = () =>
            execFileSync("find", [project.path(".cache"), "-type", "f", "-printf", "%p %T@\n"], { encoding: "utf8" });
        const before = written();
        const second = await project.run("setup", "--for", "preview");
        assert.equal(second.code, 0);
        assert.equal(second.stderr, "");
        assert.equal(written(), before);

        fs.rmSync(project.path("user-bin/pulumi"));
        project.write("user-bin/go", "#!/bin/sh\necho go1.19.8\n", 0o755);
        project.env.PATH = `${project.path("user-bin")}:/bin`;
        const without = await project.run("setup", "--for", "preview");
        assert.equal(without.code, 1, "no pulumi on PATH is another choice");
        assert.match(without.stderr, /127\.0\.0\.1:9: .*3\.276\.0 is built from its Go module instead/);
        assert.match(
            without.stderr,
            /error: Pulumi's release cannot .* needs Go 1\.26\.6 or newer: \S+\/go is go1\.19\.8\./,
        );
        assert.match(without.stderr, /next: install Go 1\.26\.6 or newer and run again, or install Pulumi 3\.276\.0/);
    });

    it("does not use a pulumi that is older than the SDK or of another major version", async () => {
        for (const version of ["v3.258.9", "v4.0.0", "nonsense"]) {
            fs.rmSync(project.path("user-bin/pulumi"), { force: true });
            project.write("user-bin/pulumi", `#!/bin/sh\necho ${version}\n`, 0o755);
            project.write("user-bin/go", "#!/bin/sh\necho go1.19.8\n", 0o755);
            project.env.PATH = `${project.path("user-bin")}:/bin`;
            const { code, stderr } = await project.run("setup", "--for", "preview");
            assert.equal(code, 1);
            assert.match(stderr, /pulumi: \S+\/user-bin\/pulumi is not used: (it is|`pulumi version` failed)/);
        }
    });

    it("installs the official release where it is reached, and never one with a wrong checksum", async () => {
        const version = "3.276.0";
        const name = `pulumi-v${version}-${process.platform}-${process.arch}.tar.gz`;
        // Stands for the CLI: installing a plug-in puts it where Pulumi would.
        project.write(
            "release/pulumi/pulumi",
            '#!/bin/sh\nd="$PULUMI_HOME/plugins/resource-$4-v$5"\nmkdir -p "$d" && echo official >"$d/pulumi-resource-$4"\n',
            0o755,
        );
        execFileSync("tar", ["-czf", project.path(name), "-C", project.path("release"), "pulumi"]);
        const archive = fs.readFileSync(project.path(name));
        let sum = "0".repeat(64);
        const server = http.createServer((request, response) => {
            const file = path.basename(request.url ?? "");
            response.end(file === name ? archive : `${sum}  ${name}\n`);
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        try {
            fs.rmSync(project.path("user-bin/pulumi"));
            project.env.PATH = `${project.path("user-bin")}:/usr/bin:/bin`;
            project.env.RUNTIME_SANDBOXES_PULUMI_RELEASES = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
            const wrong = await project.run("setup", "--for", "preview");
            assert.equal(wrong.code, 1);
            assert.match(wrong.stderr, /error: http:\S+ has the SHA-256 [0-9a-f]{64}, its checksums file says 0{64}\./);
            assert.equal(project.exists(".cache/bin/pulumi"), false);
            sum = createHash("sha256").update(archive).digest("hex");
            const right = await project.run("setup", "--for", "preview");
            assert.equal(right.code, 0, right.stderr);
            const chosen = JSON.parse(project.read(".cache/toolchain.json")) as Record<string, string>;
            assert.deepEqual([chosen.cli, chosen.plugins], ["official", "official"]);
            assert.equal(chosen.home, project.path(".cache/pulumi-home"));
            for (const [target, disabled] of [
                ["existing", "true"],
                ["gcp", "undefined"],
            ]) {
                project.write("Pulumi.dev.yaml", `config:\n  runtime-sandboxes:target: ${target}\n`);
                const { stdout } = await project.evaluate(
                    'import { pulumiOf } from "./cli/stack.ts";' +
                        'import { chosenToolchain } from "./cli/toolchain.ts";' +
                        "console.log(pulumiOf(chosenToolchain()).env.PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION);",
                );
                assert.equal(stdout, `${disabled}\n`, `the engine fetches the plug-in of ${target}`);
            }
        } finally {
            server.close();
        }
    });

    it("refuses up where a target's plug-in is one that only previews, before anything is made", async () => {
        // No official plug-in is there, and their server is not reached.
        fs.rmSync(project.path("home/plugins"), { recursive: true });
        fs.cpSync(path.join(__dirname, "../../plugins"), project.path("plugins"), { recursive: true });
        project.write("Pulumi.dev.yaml", "config:\n  runtime-sandboxes:target: gcp\n");
        const { code, stderr } = await project.run("up");
        assert.equal(code, 1, stderr);
        assert.match(
            stderr,
            /^error: target gcp needs Pulumi's own plug-in gcp [\d.]+, .* only previews\. Nothing was changed\./m,
        );
        assert.deepEqual([project.exists(".pulumi"), project.exists(".local/dev")], [false, false]);
    });

    describe("Debian packages", () => {
        /** As root in a namespace of their own, where /usr/sbin is empty: nothing comes onto the host that runs the tests. */
        const root = [
            "unshare",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            'mount -t tmpfs tmpfs /usr/sbin && exec "$@"',
            "sh",
        ];
        const ask = 'echo "$DEBIAN_FRONTEND $*" >>asked';

        beforeEach(() => {
            project.within = root;
            // They stand for Debian's own.
            project.write("user-bin/dpkg-query", '#!/bin/sh\n[ ! -e asked ] || echo "shellcheck installed"\n', 0o755);
            project.write("user-bin/apt-get", `#!/bin/sh\n${ask}\n`, 0o755);
        });

        it("that are missing are installed, and no others, without a question", async () => {
            const { code, stderr } = await project.run("setup", "--for", "verify");
            assert.equal(code, 0, stderr);
            assert.match(stderr, /Debian packages \(shellcheck\): done/);
            assert.deepEqual(project.read("asked").trim().split("\n"), [
                "noninteractive -q -oDPkg::Lock::Timeout=300 update",
                "noninteractive -q -y --no-install-recommends -oDPkg::Lock::Timeout=300 install shellcheck",
            ]);
            assert.equal((await project.run("setup", "--for", "verify")).stderr, "");
        });

        it("are named to anybody but root", async () => {
            project.within = ["unshare", "--map-user=1000"];
            const { code, stderr } = await project.run("setup", "--for", "verify");
            assert.equal(code, 1);
            assert.match(
                stderr,
                /missing on this host \(shellcheck\), and only root may install them\.\n {2}next: sudo apt-get install/,
            );
        });

        it("wait for another apt that reads its lists, for which apt has no limit in time of its own", async () => {
            const held = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)";
            project.write(
                "user-bin/apt-get",
                `#!/bin/sh\n${ask}\n[ "$(grep -c update asked)" -ge 3 ] || { echo "${held}" >&2; exit 100; }\n`,
                0o755,
            );
            const { code, stderr } = await project.run("setup", "--for", "verify");
            assert.equal(code, 0, stderr);
            assert.match(project.read("asked"), /^(.* update\n){3}.* install shellcheck\n$/);
        });

        it("that cannot be installed: the log and its last lines are named", async () => {
            project.write("user-bin/apt-get", "#!/bin/sh\necho E: no such mirror >&2; exit 100\n", 0o755);
            const { code, stderr } = await project.run("setup", "--for", "verify");
            assert.equal(code, 1);
            assert.match(stderr, /error: .* could not be installed: `apt-get update` failed \(exit code 100\)\.\n/);
            assert.match(
                stderr,
                / {2}\| E: no such mirror\n {2}log: \S+\.cache\/logs\/apt-update\.log\n {2}next: see that/,
            );
        });

        it("start no daemon while they are installed, and keep no later one from it, also where the run was killed", async () => {
            const policy =
                "if [ -e /usr/sbin/policy-rc.d ]; then sh /usr/sbin/policy-rc.d; echo $?; else echo none; fi >>";
            // Once with the end that is hoped for, and once with a kill of the run in the middle of it.
            for (const end of ["", 'kill -KILL "$PPID"']) {
                project.write("user-bin/apt-get", `#!/bin/sh\n[ "$2" != -y ] || { ${policy}during; ${end}\n}\n`, 0o755);
                project.within = [...root.slice(0, -2), `mount -t tmpfs tmpfs /usr/sbin; "$@"; ${policy}after`, "sh"];
                await project.run("setup", "--for", "verify");
            }
            assert.equal(project.read("during"), "101\n101\n");
            // Its exit code 0 allows all: https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt
            assert.equal(project.read("after"), "none\n0\n");
        });

        it("that bring an sshd which cannot be switched off: that is said", async () => {
            project.write("user-bin/dpkg-query", "#!/bin/sh\n", 0o755);
            project.write(
                "user-bin/systemctl",
                `#!/bin/sh\n${ask}\necho "Failed to disable unit" >&2; exit 1\n`,
                0o755,
            );
            const mounts =
                "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && mount -t tmpfs tmpfs /usr/sbin";
            project.within = [...root.slice(0, -2), `${mounts} && exec "$@"`, "sh"];
            const { stderr } = await project.evaluate(
                'import { installDebian } from "./cli/debian.ts";' +
                    'import { Progress } from "./cli/progress.ts";' +
                    'await installDebian(["openssh-server"], new Progress());',
            );
            assert.match(project.read("asked"), /disable ssh\.service ssh\.socket\n$/);
            assert.match(
                stderr,
                /sshd may start on this host: .*Failed to disable unit.*systemctl disable ssh\.service/,
            );
        });
    });

    it("reads settings as YAML, with the defaults of Pulumi.yaml, and shows no line of a file that is none", async () => {
        const read = async (file: string, ...keys: string[]) => {
            project.write("Pulumi.dev.yaml", file);
            const { stdout, stderr } = await project.evaluate(
                'import { setting } from "./cli/settings.ts"; import { report } from "./cli/failure.ts";' +
                    `try { console.log(JSON.stringify(${JSON.stringify(keys)}.map((key) => setting("dev", key)))); }` +
                    "catch (error) { report(error); }",
            );
            return stderr === "" ? (JSON.parse(stdout) as string[]) : stderr;
        };
        assert.deepEqual(await read("", "target", "workers", "gvisorVersion", "nothing"), ["local", "1", "", ""]);
        const lines = [
            ...["config:", "  # runtime-sandboxes:bridge: none", "  'runtime-sandboxes:target': \"gcp\" # why"],
            ...["  addressRange: 10.1.0.0/24", "  runtime-sandboxes:gvisorVersion: 20261116.0"],
            ...["  runtime-sandboxes:existing:", "    bridge: br1", "  runtime-sandboxes:workers:", ""],
        ];
        assert.deepEqual(
            await read(lines.join("\n"), "target", "addressRange", "gvisorVersion", "existing", "workers", "bridge"),
            ["gcp", "10.1.0.0/24", "20261116.0", "", "1", "sandbox0"],
        );
        assert.deepEqual(await read('{"config": {"runtime-sandboxes:target": "existing"}}', "target"), ["existing"]);
        const broken = await read("config:\n  password: hidden\n  [", "target");
        assert.match(String(broken), /^error: \S+\/Pulumi\.dev\.yaml is not YAML: line \d, .*\n {2}next: correct it/);
        assert.doesNotMatch(String(broken), /hidden/);
    });

    it("gives Pulumi its environment and keeps what the user has set", async () => {
        const show = async (env: Record<string, string>, plugins: string) => {
            const code =
                'import { pulumiEnvironment } from "./cli/environment.ts";' +
                `console.log(JSON.stringify(pulumiEnvironment({ home: "/h", plugins: "${plugins}" }, ${JSON.stringify(env)}, true)));`;
            const { stdout, stderr } = await project.evaluate(code);
            assert.equal(stderr, "");
            return JSON.parse(stdout) as Record<string, string>;
        };
        const plain = await show({ PATH: "/usr/bin:/usr/local/go/bin", SSH_AUTH_SOCK: "/gone" }, "stand-in");
        assert.deepEqual(plain, {
            PATH: [project.path(".cache/bin"), project.path("node_modules/.bin"), "/usr/bin:/usr/local/go/bin"].join(
                ":",
            ),
            PULUMI_HOME: "/h",
            PULUMI_SKIP_UPDATE_CHECK: "true",
            PULUMI_NODEJS_TRANSPILE_ONLY: "true",
            NODE_COMPILE_CACHE: project.path(".cache/node-compile"),
            GOGC: "400",
            PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
            PULUMI_CONFIG_PASSPHRASE_FILE: project.path(".local/passphrase"),
            NO_COLOR: "1",
        });
        const secret = project.read(".local/passphrase");
        assert.ok(secret.length >= 32);
        assert.equal(fs.statSync(project.path(".local/passphrase")).mode & 0o777, 0o600);
        const own = await show({ PATH: "/usr/bin", PULUMI_CONFIG_PASSPHRASE: "" }, "official");
        assert.equal(own.PULUMI_CONFIG_PASSPHRASE_FILE, undefined);
        assert.equal(own.PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION, undefined);
        assert.equal(project.read(".local/passphrase"), secret);
    });

    it("takes over the lock of a process that is gone, and waits for one that is not", async () => {
        const hold =
            'import { writeFileSync } from "node:fs"; import { withLock } from "./cli/locks.ts";' +
            'const say = (word) => { console.log(word); writeFileSync("said-" + word, String(process.pid)); };' +
            'const release = await withLock("x", "test", () => say("busy")); const alive = setInterval(() => {}, 1000);' +
            'process.once("SIGUSR2", () => { release(); clearInterval(alive); }); say("held");';
        const said = (word: string) =>
            eventually(word, () => project.exists(`said-${word}`) && Number(project.read(`said-${word}`)));
        const lock = project.path(".cache/locks/x.lock");
        const first = project.evaluate(hold);
        await said("held");
        const holder = JSON.parse(fs.readFileSync(lock, "utf8")) as { pid: number };
        fs.rmSync(project.path("said-held"));
        const second = project.evaluate(hold);
        await said("busy");
        process.kill(holder.pid, "SIGKILL");
        await first;
        process.kill(await said("held"), "SIGUSR2");
        assert.match((await second).stdout, /^(busy\n)+held\n$/);
        assert.deepEqual(fs.readdirSync(path.dirname(lock)), []);

        // The same process id, given to another process since.
        project.write(".cache/locks/x.lock", JSON.stringify({ ...holder, pid: process.pid, ticks: "1" }));
        const third = project.evaluate(hold.replace(/const alive.*(?=say\("held"\))/, "release(); "));
        assert.equal((await third).stdout, "held\n");
    });
});
