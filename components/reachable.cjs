// What pods reach over the network: who is believed, and whether policies are enforced. The script that tries, the verdict and the
// command line all ask here. CommonJS, which every Node and every loader takes; the types are in the file beside it.
"use strict";

const { BlockList, isIPv6 } = require("node:net");

function reachableIn({ reachable, egress }) {
    return reachable === "" ? egress !== undefined : reachable === "true";
}

const familyOf = (address) => (isIPv6(address) ? "ipv6" : "ipv4");

/** Whether a HOST:PORT lies in what a rule allows. */
function covers({ cidr, ports }, address, protocol) {
    const [base, bits] = cidr.split("/");
    const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(address);
    const range = new BlockList();
    range.addSubnet(base, Number(bits), familyOf(base));
    return (
        // To Node an IPv4 address is an IPv6 one, too.
        familyOf(base) === familyOf(host) &&
        range.check(host, familyOf(host)) &&
        (ports === undefined || ports.some((one) => one.port === Number(port) && one.protocol === protocol))
    );
}

function isAllowed({ target, addresses, protocol }, { allow, dns }) {
    return (
        target === "allowed" ||
        (target === "dns" && dns) ||
        allow.some((rule) => addresses.some((address) => covers(rule, address, protocol)))
    );
}

/** What a probe came to. A pod can say anything: it is asked only where nobody else knows. */
function believed({ said, heard, carried }) {
    const outside = heard ?? carried;
    const reached = outside ?? said.reached;
    const by = heard !== undefined ? "target" : carried !== undefined ? "worker" : "pod";
    const otherwise =
        reached === said.reached ? "" : `; the pod itself says that it ${said.reached ? "did" : "did not"}`;
    return { reached, by, detail: `${said.saw}${otherwise}` };
}

function rowsOf({ namespace, probes }, control, rules) {
    const shown = new Map(control.probes.map((probe) => [probe.target, believed(probe).reached]));
    return probes.map((probe) => ({
        target: probe.target,
        address: probe.address,
        namespace,
        ...believed(probe),
        control: shown.get(probe.target) ?? false,
        ...(rules && { allowed: isAllowed(probe, rules) }),
    }));
}

function judge({ control, inside }, rules) {
    const reachable = {};
    for (const pod of inside) {
        reachable[pod.runtimeClass] = [...(reachable[pod.runtimeClass] ?? []), ...rowsOf(pod, control, rules)];
    }
    return { reachable, ...(rules && { egress: check(reachable) }) };
}

const unique = (names) => [...new Set(names)];

/** All rows with their classes, by what counts of them. */
function sorted(reachable) {
    const rows = Object.entries(reachable).flatMap(([runtimeClass, all]) =>
        all.map((row) => ({ ...row, runtimeClass })),
    );
    const forbidden = rows.filter(({ allowed, by }) => allowed === false && by !== "pod");
    return {
        forbidden,
        through: forbidden.filter(({ reached }) => reached),
        // By nobody's word but the pod's: it decides nothing, either way.
        unjudged: rows.filter(({ allowed, by }) => allowed === false && by === "pod"),
        unheard: rows.filter(({ target, reached, by }) => target === "allowed" && !(reached && by === "target")),
    };
}

const placeOf = ({ runtimeClass, namespace }) => `${runtimeClass} in ${namespace}`;

/** What is wrong with the control targets, as sentences: where one of these is said, nothing is shown. */
function flawsOf({ forbidden, through, unheard }) {
    const shown = forbidden.some(({ control, reached }) => control && !reached);
    return [
        ...(unheard.length > 0
            ? [`the allowed target was not reached from ${unheard.map(placeOf).join(", ")}, so this shows nothing`]
            : []),
        ...(through.length === 0 && !shown
            ? ["the control reaches nothing that is refused, so this shows nothing"]
            : []),
    ];
}

/** The check of the verdict. */
function check(reachable) {
    const found = sorted(reachable);
    const { forbidden, through, unjudged } = found;
    const targets = unique(forbidden.map(({ target }) => target));
    const open = unique(through.map(({ target }) => target));
    const shown = unique(forbidden.filter(({ control }) => control).map(({ target }) => target));
    const listened = forbidden.filter(({ by }) => by === "target");
    const flaws = flawsOf(found);
    const sentences = [
        `${targets.length - open.length} of ${targets.length} refused`,
        through.length > 0
            ? `not refused: ${open.map((target) => sentenceOf(through.filter((row) => row.target === target))).join(", ")}`
            : `${shown.length} of them get through on the control`,
        ...(listened.length > 0 && listened.every(({ reached }) => reached)
            ? ["the cluster's network plug-in ignores the policies, as flannel does by itself"]
            : []),
        ...flaws,
        ...(unjudged.length > 0
            ? [`not judged, because only the pods report them: ${unjudgedOf(unjudged).join(", ")}`]
            : []),
    ];
    return { passed: through.length + flaws.length === 0, detail: sentences.join("; ") };
}

/** "kubelet at 10.0.0.4:10250 from weak in untrusted". */
function sentenceOf(rows) {
    const [{ target, address }] = rows;
    return `${target} at ${address} from ${rows.map(placeOf).join(", ")}`;
}

function unjudgedOf(rows) {
    return unique(rows.map(({ target, reached }) => `${target} (${reached ? "reached" : "not reached"})`));
}

function contradiction(reachable) {
    const found = sorted(reachable);
    const [first] = found.through;
    return first === undefined ? flawsOf(found)[0] : `${sentenceOf([first])} is reached`;
}

module.exports = { reachableIn, isAllowed, judge, contradiction };
