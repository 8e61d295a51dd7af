import { isSince, minorNumber, minorOf } from "../../components/versions";

test.each([
    ["2.11.3", "2.11"],
    ["2.11.0-rc1", "2.11"],
    ["3.0.0", "2.11"],
    ["2.12.0", "2.11"],
    ["1.27.4", "1.27.4"],
    ["1.28.0", "1.27.4"],
])("%s is of %s or later", (version, since) => expect(isSince(version, since)).toBe(true));

test.each([
    ["2.9.12", "2.11"],
    ["1.99.0", "2.11"],
    ["1.27.3", "1.27.4"],
    ["", "2.11"],
    ["2", "2.11"],
])("%j is older than %s, or no version", (version, since) => expect(isSince(version, since)).toBe(false));

test("the minor of a version is the same with a prefix and a suffix", () => {
    for (const version of ["1.30", "1.30.14", "v1.30.14-rancher1-1", "v1.30.14+rke2r1"]) {
        expect(minorOf(version)).toBe("1.30");
        expect(minorNumber(version)).toBe(30);
    }
});
