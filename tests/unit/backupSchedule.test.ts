import { scheduleFault } from "../../components/rancher/cron";

// Read with `ParseStandard` of github.com/robfig/cron v3.0.1, which accepts the first list and refuses the second one.
const accepted = [
    "0 2 * * *",
    "  0 2  * * * ",
    "*/15 * ? * ?",
    "5/10 0-6/2 1,15 JAN-mar Mon-Fri",
    "0 0 29 feb *",
    "@daily",
    "@midnight",
    "@every 90m",
    "@every 1h30m",
    "@every 1.5h",
    "@every .5h",
    "@every 1.h0.5m",
];
const refused = [
    "",
    "0 2 * *",
    "0 0 2 * * *",
    "60 2 * * *",
    "0 24 * * *",
    "0 2 0 * *",
    "0 2 32 * *",
    "0 2 * 13 *",
    "0 2 * * 7",
    "0 2 * * monday",
    "5-1 2 * * *",
    "*/0 2 * * *",
    "1-2-3 2 * * *",
    "1/2/3 2 * * *",
    "-5 2 * * *",
    "x 2 * * *",
    "@reboot",
    " @daily",
    "@every",
    "@every 12",
    "@every 1 hour",
    "@every .h",
    "@every 1.2.3h",
    "@every 3000000h",
];
// The library accepts these. The operator's image has no time zones, and the others make one backup after another.
const refusedByUs = [
    "CRON_TZ=Europe/Berlin 0 2 * * *",
    "0 2 31 feb,apr,jun *",
    "@every 30s",
    "0 0 30 2 *,1",
    "0 0 30 2 1,*",
    "0 0 30 2 */01",
];

test.each(accepted)("a schedule that the operator's library reads: %j", schedule => {
    expect(scheduleFault(schedule)).toBeUndefined();
});

test.each([...refused, ...refusedByUs])("a schedule that is refused: %j", schedule => {
    expect(scheduleFault(schedule)).toMatch(/^expected /);
});

test("a day of the month beside a day of the week is either of them, so that it occurs", () => {
    expect(scheduleFault("0 2 31 feb mon")).toBeUndefined();
});
