const { X509Certificate } = require("crypto");

const warningDays = 60;
const day = 24 * 3600 * 1000;

/**
 * Returns a warning that names the certificates of a cluster that end soon.
 *
 * @param {Record<string, { certificatePEM?: string }>} bundle
 */
function expiryWarnings(bundle, now = Date.now()) {
    const ending = Object.entries(bundle).flatMap(([name, { certificatePEM }]) => {
        if (!certificatePEM) return [];
        const days = Math.floor((Date.parse(new X509Certificate(certificatePEM).validTo) - now) / day);
        return days < warningDays ? [`${name} in ${days} days`] : [];
    });
    if (ending.length === 0) return [];
    return [
        `certificates of the cluster end within ${warningDays} days: ${ending.join(", ")}. ` +
            "`rke cert rotate` renews all but those of its CAs: https://rke.docs.rancher.com/cert-mgmt",
    ];
}

module.exports = { expiryWarnings };
