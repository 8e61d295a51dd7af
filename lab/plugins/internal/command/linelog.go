package command

import "bytes"

// maxLine is the length in bytes from which the real provider hangs on a logged line (pulumi-command #201).
const maxLine = 64 << 10

// lineLog splits text into lines and logs them. Standard output and standard error share one, as in the real provider.
type lineLog struct {
	log     func(line string)
	pending []byte
	// tooLong is set when a line reaches maxLine. No further line is logged then.
	tooLong bool
}

func (lines *lineLog) write(text []byte) {
	for !lines.tooLong {
		line, rest, complete := bytes.Cut(text, []byte("\n"))
		lines.pending = append(lines.pending, line...)
		lines.tooLong = len(lines.pending) >= maxLine
		if !complete {
			return
		}
		lines.emit()
		text = rest
	}
}

// flush logs the last line where it does not end in a newline.
func (lines *lineLog) flush() {
	if len(lines.pending) > 0 {
		lines.emit()
	}
}

func (lines *lineLog) emit() {
	if !lines.tooLong {
		lines.log(string(lines.pending))
	}
	lines.pending = lines.pending[:0]
}
