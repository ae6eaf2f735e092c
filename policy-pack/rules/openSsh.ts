import type { ResourceRule } from "../rule";
import { any, at, every, is, list, type Maybe, some, unknown, type Value } from "../values";

const ssh = 22;

function isEmpty(value: Value): Maybe {
    const found = list(value);
    return found === unknown ? unknown : found.length === 0;
}

/** Whether one of the things that a firewall rule allows is SSH. No ports at all are every port. */
function allowsSsh(allow: Value): Maybe {
    const ports = at(allow, "ports");
    return every([
        is(at(allow, "protocol"), (protocol) => ["tcp", "6", "all"].includes(String(protocol).toLowerCase())),
        any([
            isEmpty(ports),
            some(ports, (port) =>
                is(port, (text) => {
                    const [from = 0, to = from] = String(text).split("-").map(Number);
                    return from <= ssh && ssh <= to;
                }),
            ),
        ]),
    ]);
}

/** Whether a range is wider than any one owner's: the whole world, or one of a few that add up to it. */
function isWide(range: Value): Maybe {
    return is(range, (text) => {
        const [, address = "", bits] = /^(.*)\/(\d+)$/.exec(String(text)) ?? [];
        return bits !== undefined && Number(bits) < (address.includes(":") ? 16 : 8);
    });
}

export const openSsh: ResourceRule = {
    name: "no-open-ssh",
    description: "No firewall rule opens SSH to the whole world.",
    types: ["gcp:compute/firewall:Firewall"],
    check({ name, props }, judge) {
        // With no source at all Google takes 0.0.0.0/0.
        const anywhere = every(
            ["sourceRanges", "sourceTags", "sourceServiceAccounts"].map((field) => isEmpty(at(props, field))),
        );
        const open = every([
            is(at(props, "direction"), (direction) => String(direction).toUpperCase() !== "EGRESS"),
            is(at(props, "disabled"), (disabled) => disabled !== true),
            some(at(props, "allows"), allowsSsh),
            any([anywhere, some(at(props, "sourceRanges"), isWide)]),
        ]);
        if (open === unknown) {
            judge.undecided(name);
        } else if (open) {
            const seen = anywhere ? "not set, which is 0.0.0.0/0," : JSON.stringify(at(props, "sourceRanges"));
            judge.violation(
                `sourceRanges is ${seen} and allows lets port ${ssh} through; allowed: the ranges that administrators ` +
                    "come from, none wider than /8 (IPv6: /16), or Identity-Aware Proxy's",
            );
        }
    },
};
