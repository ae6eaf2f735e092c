import type { ResourceRule } from "../rule";
import { at, is, list, some, unknown } from "../values";

/** The control plane is known by the label that the program gives its machines. */
export const publicAddress: ResourceRule = {
    name: "no-public-address",
    description: "No machine but the control plane has a public address.",
    types: [
        "instance:Instance",
        "instanceTemplate:InstanceTemplate",
        "regionInstanceTemplate:RegionInstanceTemplate",
    ].map((one) => `gcp:compute/${one}`),
    check({ name, props }, judge) {
        const privileged = is(at(props, "labels", "role"), (role) => role === "control-plane");
        const fields = ["accessConfigs", "ipv6AccessConfigs"];
        const reached = some(at(props, "networkInterfaces"), (one) =>
            some(
                fields.map((field) => at(one, field)),
                (configs) => some(configs, () => true),
            ),
        );
        if (privileged === true || reached === false) {
            return;
        }
        if (privileged === unknown || reached === unknown) {
            judge.undecided(name);
            return;
        }
        const found = list(at(props, "networkInterfaces"));
        const where = (found === unknown ? [] : found).flatMap((one, index) =>
            fields
                .filter((field) => some(at(one, field), () => true))
                .map((field) => `networkInterfaces[${index}].${field}`),
        );
        judge.violation(
            `${where.join(" and ")} give it a public address; allowed: [], and a way in through the control plane ` +
                '(the machine with the label role: "control-plane")',
        );
    },
};
