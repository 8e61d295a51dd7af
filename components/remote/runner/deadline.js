// Measures time where Pulumi runs. The clock of that machine may be set during a run, so no deadline depends on it.

/** A point in time. @typedef {{ seconds: number, left: () => number, isOver: () => boolean }} Deadline */

/**
 * Returns the deadline in some seconds. `left` returns the seconds until then, which are never negative.
 *
 * @param {number} seconds
 * @returns {Deadline}
 */
function deadlineIn(seconds) {
    const end = process.uptime() + seconds;
    const left = () => Math.max(0, end - process.uptime());
    return { seconds, left, isOver: () => left() === 0 };
}

/** Returns a function that returns the seconds since now. */
function stopwatch() {
    const started = process.uptime();
    return () => process.uptime() - started;
}

module.exports = { deadlineIn, stopwatch };
