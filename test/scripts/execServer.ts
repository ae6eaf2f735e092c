import { createHash } from "node:crypto";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { testPodLabel } from "../../components/names";

/** What a pod of the stand-in answers, by its name. */
interface StandInPod {
    readonly node: string;
    readonly uname: string;
    readonly dmesg: string;
    readonly runtimeClassName?: string;
}

/**
 * A stand-in for the few calls of a Kubernetes API server that look into pods: lists of pods and nodes, one pod, and exec
 * over a WebSocket. Answers what the test has put into it.
 */
export class ExecServer {
    public nodes: Record<string, string> = {};
    public pods: Record<string, StandInPod> = {};
    private readonly server = http.createServer((request, response) => {
        const [status, body] = this.answer(new URL(request.url ?? "/", "http://server").pathname, request.method);
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });

    public async start(): Promise<void> {
        this.server.on("upgrade", (request, socket) => this.exec(request, socket));
        await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    }

    public stop(): void {
        this.server.closeAllConnections();
        this.server.close();
    }

    public get kubeconfig(): string {
        return JSON.stringify({
            apiVersion: "v1",
            kind: "Config",
            clusters: [
                {
                    name: "c",
                    cluster: {
                        "insecure-skip-tls-verify": true,
                        server: `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`,
                    },
                },
            ],
            users: [{ name: "u", user: { token: "t" } }],
            contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
            "current-context": "x",
        });
    }

    private pod(name: string) {
        const { node, runtimeClassName } = this.pods[name] ?? { node: "" };
        const spec = { nodeName: node, runtimeClassName, containers: [{ name: "nginx" }] };
        const labels = { [testPodLabel]: name.split("-").slice(0, 2).join("-") };
        const metadata = { name, namespace: "default", uid: `uid-of-${name}`, labels };
        return { apiVersion: "v1", kind: "Pod", metadata, spec };
    }

    private answer(path: string, method = "GET"): [number, object] {
        if (method !== "GET") {
            return [403, { kind: "Status", message: "nobody may make pods" }];
        }
        if (path === "/api/v1/nodes") {
            const items = Object.entries(this.nodes).map(([name, kernelVersion]) => ({
                metadata: { name },
                status: { nodeInfo: { kernelVersion } },
            }));
            return [200, { kind: "NodeList", items }];
        }
        if (path === "/api/v1/pods") {
            return [200, { kind: "PodList", items: Object.keys(this.pods).map((one) => this.pod(one)) }];
        }
        if (path === "/api/v1/namespaces/default/pods") {
            return [200, { kind: "PodList", items: [] }];
        }
        const name = /^\/api\/v1\/namespaces\/default\/pods\/([^/]+)$/.exec(path)?.[1] ?? "";
        return name in this.pods ? [200, this.pod(name)] : [404, { kind: "Status", message: `${path} is not here` }];
    }

    /** The channels of a Kubernetes exec: 1 is standard output, 3 the status. */
    private exec(request: http.IncomingMessage, socket: Duplex): void {
        const url = new URL(request.url ?? "/", "http://server");
        const pod = this.pods[/\/pods\/([^/]+)\/exec$/.exec(url.pathname)?.[1] ?? ""];
        const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
        const protocol = String(request.headers["sec-websocket-protocol"]).split(",")[0]?.trim();
        socket.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
                `Sec-WebSocket-Accept: ${createHash("sha1").update(key).digest("base64")}\r\n` +
                `Sec-WebSocket-Protocol: ${protocol}\r\n\r\n`,
        );
        const printed = url.searchParams.get("command") === "uname" ? `${pod?.uname}\n` : (pod?.dmesg ?? "");
        socket.write(frame(1, printed));
        socket.write(frame(3, JSON.stringify({ status: "Success" })));
        socket.end(Buffer.from([0x88, 2, 0x03, 0xe8]));
    }
}

/** A binary frame of https://www.rfc-editor.org/rfc/rfc6455#section-5.2. */
function frame(channel: number, text: string): Buffer {
    const payload = Buffer.concat([Buffer.from([channel]), Buffer.from(text)]);
    const length = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 0xff];
    return Buffer.concat([Buffer.from([0x82, ...length]), payload]);
}
