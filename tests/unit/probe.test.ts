import { findingOf, parseProbe } from "../../components/remote/probe";

const { probeText } = jest.requireActual<{ probeText: (told: object) => string }>("../../components/remote/runner/probe.js");

test("what a program tells is what is read, texts of several lines too", () => {
    const told = { facts: { nginx: "1.30.0", owner: "a b" }, finding: ["one\ntwo", "three"], outdated: "old", warning: "look at it" };
    const probe = {
        state: "changed",
        reason: "",
        facts: told.facts,
        findings: ["one", "two", "three"],
        outdated: ["old"],
        warnings: ["look at it"],
    };
    expect(parseProbe(probeText(told))).toEqual(probe);
    expect(findingOf(parseProbe(probeText(told)))).toBe("one\ntwo\nthree");
});

test.each<[object, string]>([
    [{}, "in sync"],
    [{ warning: "look at it" }, "in sync"],
    [{ absent: "no API server runs", finding: "a difference" }, "absent: no API server runs"],
    [{ unreachable: "no answer", absent: "not there" }, "unreachable: no answer"],
    [{ unreachable: "no answer", unknown: "answers 403" }, "unreachable: no answer"],
    [{ unknown: "answers 403", absent: "not there" }, "unknown: answers 403"],
    [{ refused: "a\nb", unreachable: "no answer" }, "refused: a\nb"],
])("of %j the finding is %j", (told, finding) => expect(findingOf(parseProbe(probeText(told)))).toBe(finding));

test("a probe that was cut off, or said nothing, is no host in sync", () => {
    expect(findingOf(parseProbe("fact nginx 1.22.1\n"))).toBe("unreachable: what the probe said was cut off");
    expect(findingOf(parseProbe(""))).toBe("unreachable: the probe said nothing");
});
