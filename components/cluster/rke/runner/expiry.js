const { X509Certificate } = require("crypto");

const warningDays = 60;
const day = 24 * 3600 * 1000;

/** Kubernetes uses the key of this certificate alone, and RKE never renews the certificate. */
const withoutEnd = "kube-service-account-token";

/**
 * Returns warnings that name the certificates of a cluster that end soon: one for its CAs, and one for the others.
 *
 * @param {Record<string, { certificatePEM?: string }>} bundle
 */
function expiryWarnings(bundle, now = Date.now()) {
    const ending = Object.entries(bundle).flatMap(([name, { certificatePEM }]) => {
        if (!certificatePEM || name === withoutEnd) return [];
        const { ca: isCa, validTo } = new X509Certificate(certificatePEM);
        const days = Math.floor((Date.parse(validTo) - now) / day);
        return days < warningDays ? [{ isCa, text: `${name} in ${days} days` }] : [];
    });
    const warning = (/** @type {boolean} */ ofCas, /** @type {string} */ what, /** @type {string} */ advice) => {
        const texts = ending.filter(({ isCa }) => isCa === ofCas).map(({ text }) => text);
        return texts.length > 0 ? [`${what} of the cluster end within ${warningDays} days: ${texts.join(", ")}. ${advice}`] : [];
    };
    return [
        ...warning(true, "CAs", "Raise cluster.caRotations by one and run pulumi up: docs/operations.md says what restarts"),
        ...warning(false, "certificates", "Set cluster.rotateCertificates to a new value and run pulumi up"),
    ];
}

module.exports = { expiryWarnings };
