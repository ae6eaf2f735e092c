import type { Handler } from "../components/contracts";
import { defaultHandler as usual } from "../components/names";
import type { Of } from "./complaint";

/** Name of the handler whose class is `runtimeClass`; empty where the settings leave that open. */
export function defaultHandlerOf({ defaultHandler, handlers }: Of<"defaultHandler" | "handlers">): string {
    const [only = "", ...others] = Object.keys(handlers);
    if (defaultHandler !== "") {
        return defaultHandler;
    }
    if (Object.hasOwn(handlers, usual)) {
        return usual;
    }
    return others.length === 0 ? only : "";
}

export type HandlerSettings = Of<"handlers" | "defaultHandler" | "runtimeClass" | "gvisorPlatform">;

/** The handlers of the settings, by name: Pulumi does not keep the order in which they are written. */
export function allHandlers(settings: HandlerSettings): Handler[] {
    const first = defaultHandlerOf(settings);
    return Object.entries(settings.handlers)
        .map(([name, { runtimeClass, options }]) => ({
            name,
            runtimeClass: runtimeClass ?? (name === first ? settings.runtimeClass : name),
            options: { platform: settings.gvisorPlatform, ...options },
        }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Flags of runsc as the settings name them, each with where it stands. */
export function flagsIn({ handlers, overrides }: Of<"handlers" | "overrides">) {
    const given: Readonly<Record<string, Readonly<Record<string, Pick<Handler, "options">>>>> = { handlers, overrides };
    return Object.entries(given).flatMap(([setting, all]) =>
        Object.entries(all).flatMap(([name, { options }]) =>
            Object.entries(options).map(([flag, value]) => ({
                setting: `${setting}.${name}.options.${flag}`,
                flag,
                value,
            })),
        ),
    );
}
