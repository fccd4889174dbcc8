package telemetry

import (
	"flag"
	"fmt"
	"io"
	"strconv"

	"github.com/go-logr/logr"
	uberzap "go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// The formats of the log.
const (
	FormatJSON    = "json"
	FormatConsole = "console"
)

// LogOptions configure the log.
type LogOptions struct {
	// Format is json, with one object per line, or console, for people.
	Format string
	// Level is error, info, debug, or the highest verbosity that is logged. info is
	// verbosity 0 and debug is 1.
	Level string
}

// BindFlags adds --log-format and --log-level to a set of flags.
func (o *LogOptions) BindFlags(flags *flag.FlagSet) {
	flags.StringVar(&o.Format, "log-format", FormatJSON, "format of the log: json, or console for people")
	flags.StringVar(&o.Level, "log-level", "info", "level of the log: error, info, debug, or a number for the highest verbosity (info is 0, debug is 1)")
}

// Logger returns a logger that writes to out. The error names the flag with an
// invalid value.
func (o *LogOptions) Logger(out io.Writer) (logr.Logger, error) {
	level, err := parseLevel(o.Level)
	if err != nil {
		return logr.Logger{}, err
	}
	options := []zap.Opts{
		zap.WriteTo(out),
		zap.Level(uberzap.NewAtomicLevelAt(level)),
		// Every reconciler has the same stack. The message and the wrapped objects
		// show the origin of an error.
		zap.StacktraceLevel(zapcore.DPanicLevel),
	}
	iso := func(config *zapcore.EncoderConfig) { config.EncodeTime = zapcore.ISO8601TimeEncoder }
	switch o.Format {
	case FormatJSON:
		options = append(options, zap.JSONEncoder(iso))
	case FormatConsole:
		options = append(options, zap.ConsoleEncoder(iso))
	default:
		return logr.Logger{}, fmt.Errorf("--log-format=%s: write json or console", o.Format)
	}
	return zap.New(options...), nil
}

func parseLevel(text string) (zapcore.Level, error) {
	switch text {
	case "error":
		return zapcore.ErrorLevel, nil
	case "info":
		return zapcore.InfoLevel, nil
	case "debug":
		return zapcore.DebugLevel, nil
	}
	verbosity, err := strconv.ParseUint(text, 10, 7)
	if err != nil {
		return 0, fmt.Errorf("--log-level=%s: write error, info, debug or a number from 0 to 127", text)
	}
	return zapcore.Level(-int8(verbosity)), nil
}
