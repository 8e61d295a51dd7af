interface Field {
    name: string;
    min: number;
    max: number;
    names: string[];
}

const fields: Field[] = [
    { name: "minute", min: 0, max: 59, names: [] },
    { name: "hour", min: 0, max: 23, names: [] },
    { name: "day of the month", min: 1, max: 31, names: [] },
    { name: "month", min: 1, max: 12, names: "jan feb mar apr may jun jul aug sep oct nov dec".split(" ") },
    { name: "day of the week", min: 0, max: 6, names: "sun mon tue wed thu fri sat".split(" ") },
];
const daysOfMonth = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const descriptors = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
const secondsOf: Record<string, number> = { s: 1, m: 60, h: 3600 };
/** A year. Go cannot count more than 292 years. */
const longestInterval = 8760 * 3600;

/**
 * Returns the reason why the backup operator cannot use a schedule, or undefined. Source: `ParseStandard` of github.com/robfig/cron v3.
 * Time zones are refused, because the operator's image holds no time zones.
 */
export function scheduleFault(schedule: string): string | undefined {
    if (descriptors.includes(schedule)) return undefined;
    if (schedule.startsWith("@every ")) return intervalFault(schedule.slice("@every ".length));
    if (schedule.startsWith("@")) return `expected ${descriptors.join(", ")} or @every with a duration`;
    if (/^(CRON_)?TZ=/.test(schedule)) return "expected a schedule in UTC, without a time zone";
    const parts = schedule.split(/\s+/).filter(part => part !== "");
    if (parts.length !== fields.length) return `expected ${fields.length} fields, ${fields.map(({ name }) => name).join(", ")}`;
    const values = parts.map((part, index) => valuesOf(part, fields[index]));
    const wrong = values.findIndex(found => found.length === 0);
    if (wrong >= 0) return faultOf(fields[wrong]);
    const [, , days, months] = values;
    const isEveryWeekday = parts[4].split(",").some(part => /^[*?](\/0*1)?$/.test(part));
    const occurs = months.some(month => days.some(day => day <= daysOfMonth[month - 1]));
    // The operator would make one backup after another: it takes a time that never comes for one that has passed.
    return isEveryWeekday && !occurs ? "expected a day that occurs in one of its months" : undefined;
}

/** Returns the reason why a duration of Go cannot be the interval, or undefined. */
function intervalFault(duration: string): string | undefined {
    const pattern = /(\d+\.?\d*|\.\d+)([hms])/g;
    const seconds = [...duration.matchAll(pattern)].reduce((sum, [, count, unit]) => sum + Number(count) * secondsOf[unit], 0);
    const isRead = duration.replace(pattern, "") === "";
    const isFit = isRead && seconds >= 60 && seconds <= longestInterval;
    return isFit ? undefined : "expected @every with a duration such as 12h or 1h30m, from 1m to 8760h";
}

function faultOf({ name, min, max, names }: Field): string {
    const words = names.length > 0 ? ` or ${names[0]} to ${names[names.length - 1]}` : "";
    return `expected as ${name}: ${min} to ${max}${words}, *, ranges such as ${min}-${max}, steps such as */2, or a list of these`;
}

/** Returns the values that a field allows. Returns none when one of its parts is wrong. */
function valuesOf(text: string, field: Field): number[] {
    const ranges = text.split(",").map(part => rangeOf(part, field));
    return ranges.some(range => range.length === 0) ? [] : ranges.flat();
}

function rangeOf(text: string, { min, max, names }: Field): number[] {
    const [, first, last, step = "1"] = /^([^-/]+)(?:-([^-/]+))?(?:\/(\d+))?$/.exec(text) ?? [];
    if (first === undefined) return [];
    const number = (word: string) => {
        const index = names.indexOf(word.toLowerCase());
        return index >= 0 ? index + min : /^\d+$/.test(word) ? Number(word) : NaN;
    };
    const isAny = first === "*" || first === "?";
    if (isAny && last !== undefined) return [];
    const from = isAny ? min : number(first);
    const to = isAny || (last === undefined && text.includes("/")) ? max : number(last ?? first);
    if (!(from >= min && to <= max && from <= to && Number(step) > 0)) return [];
    const count = Math.floor((to - from) / Number(step)) + 1;
    return Array.from({ length: count }, (_, index) => from + index * Number(step));
}
