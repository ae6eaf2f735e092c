// Replicas of the servers that people with internet access reach, by the same names and URLs: static files, redirects,
// and registries in front of one real registry. usage: tsx server.ts DIRECTORY ADDRESS
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import * as dgram from "node:dgram";
import * as fs from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import * as path from "node:path";
import { pushImages } from "./images";
import { hosts, moved, registries } from "./upstream";

const [directory = "", address = ""] = process.argv.slice(2);
const registryPort = 5000;
const log = fs.createWriteStream(path.join(directory, "requests.log"));

/** A name server (RFC 1035) that knows the replicas' names, and says of all others that they do not exist. */
function serveNames(): void {
    const socket = dgram.createSocket("udp4");
    socket.on("message", (query, from) => {
        const labels: string[] = [];
        let end = 12;
        for (let length = query[end] ?? 0; length > 0; length = query[end] ?? 0) {
            labels.push(query.toString("latin1", end + 1, end + 1 + length).toLowerCase());
            end += 1 + length;
        }
        const known = hosts.includes(labels.join("."));
        const answered = known && query.readUInt16BE(end + 1) === 1;
        const header = Buffer.from(query.subarray(0, 12));
        header.writeUInt16BE(known ? 0x8180 : 0x8183, 2);
        header.writeUInt16BE(answered ? 1 : 0, 6);
        header.fill(0, 8);
        const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split(".").map(Number)]);
        const question = query.subarray(12, end + 5);
        socket.send(Buffer.concat(answered ? [header, question, answer] : [header, question]), from.port, from.address);
    });
    socket.bind(53, address);
}

/** Scope of each token that was given out. */
const tokens = new Map<string, string>();

/** What a registry answers without its contents: a token, or that one is needed. True if that was the answer. */
function authorize(host: string, url: URL, request: http.IncomingMessage, response: http.ServerResponse): boolean {
    const realm = Object.values(registries).find((registry) => registry.realm === `https://${host}${url.pathname}`);
    if (realm !== undefined) {
        const token = randomUUID();
        tokens.set(token, url.searchParams.get("scope") ?? "");
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify({ token, expires_in: 300 }));
        return true;
    }
    const registry = registries[host];
    const scope = `repository:${/^\/v2\/(.+)\/(manifests|blobs)\//.exec(url.pathname)?.[1]}:pull`;
    const token = request.headers.authorization?.replace(/^Bearer /, "") ?? "";
    if (registry?.realm === undefined || tokens.get(token) === scope) {
        return false;
    }
    const challenge = `Bearer realm="${registry.realm}",service="${registry.service}",scope="${scope}"`;
    response.writeHead(401, { "www-authenticate": challenge, "content-type": "application/json" });
    response.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
    return true;
}

/** Passes a request on to the registry, where each public registry is a folder of repositories. */
function fromRegistry(folder: string, request: http.IncomingMessage, response: http.ServerResponse): void {
    const { method, headers } = request;
    const url = (request.url ?? "").replace(/^\/v2\/(?=.)/, `/v2/${folder}/`);
    const asked = { host: "127.0.0.1", port: registryPort, path: url, method, headers: { accept: headers.accept } };
    http.request(asked, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
    }).end();
}

function fromFiles(host: string, pathname: string, response: http.ServerResponse): void {
    const file = path.join(directory, "www", host, path.normalize(decodeURIComponent(pathname)));
    const stat = fs.statSync(file, { throwIfNoEntry: false });
    if (!stat?.isFile()) {
        response.writeHead(404).end("Not found\n");
        return;
    }
    response.writeHead(200, { "content-length": stat.size, "last-modified": stat.mtime.toUTCString() });
    fs.createReadStream(file).pipe(response);
}

function answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const host = request.headers.host ?? "";
    const url = new URL(request.url ?? "/", `https://${host}`);
    // Not "finish": a client that has all of a short file may close the connection before that.
    response.on("close", () => log.write(`${response.statusCode} ${request.method} ${url.href}\n`));
    if (authorize(host, url, request, response)) {
        return;
    }
    const elsewhere = moved(host, url.pathname);
    const folder = Object.entries(registries).find(([name, { contents }]) => [name, contents].includes(host))?.[1]
        .folder;
    if (elsewhere !== undefined) {
        response.writeHead(elsewhere.status, { location: elsewhere.location }).end();
    } else if (folder !== undefined) {
        fromRegistry(folder, request, response);
    } else {
        fromFiles(host, url.pathname, response);
    }
}

/** The registry (https://distribution.github.io/distribution/about/configuration/); it ends with this process. */
function startRegistry(): void {
    const settings = {
        version: 0.1,
        log: { level: "error" },
        storage: { filesystem: { rootdirectory: path.join(directory, "registry") } },
        http: { addr: `127.0.0.1:${registryPort}` },
    };
    const configuration = path.join(directory, "registry.yml");
    fs.writeFileSync(configuration, JSON.stringify(settings));
    const program = path.join(directory, "bin", "registry");
    const child = spawn("setpriv", ["--pdeathsig", "TERM", program, "serve", configuration], {
        env: { ...process.env, OTEL_TRACES_EXPORTER: "none" },
        stdio: ["ignore", "ignore", "inherit"],
    });
    child.on("exit", (code) => {
        console.error(`the registry ended with ${code}`);
        process.exit(1);
    });
}

// Whoever started this is gone.
process.stdin.on("end", () => process.exit(0)).resume();

async function main(): Promise<void> {
    startRegistry();
    fs.writeFileSync(
        path.join(directory, "images.json"),
        JSON.stringify(await pushImages(path.join(directory, "images"), `http://127.0.0.1:${registryPort}`)),
    );
    serveNames();
    const tls = { key: fs.readFileSync(`${directory}/server.key`), cert: fs.readFileSync(`${directory}/server.crt`) };
    https.createServer(tls, answer).listen(443, address, () => console.log("ready"));
}

main();
