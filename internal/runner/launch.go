package runner

import (
	"context"
	"flag"
	"regexp"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"nautes.io/nautes/internal/launch"
)

// launchCommand creates the run of a pipeline.
type launchCommand struct {
	configText, eventText   string
	launcher                string
	resultRun, resultCommit string
	cluster                 clusterFlags
	source                  sourceFlags
	timeout                 time.Duration

	config launch.Config
	event  launch.Event
}

func (c *launchCommand) flags(f *flag.FlagSet) {
	f.StringVar(&c.configText, "config", "", "configuration of the launcher, in JSON")
	f.StringVar(&c.eventText, "event", "", "values of the event, in JSON")
	f.StringVar(&c.launcher, "launcher", "", "name of the PipelineRun of this step")
	f.StringVar(&c.resultRun, "result-run", "", "file for the name of the created run")
	f.StringVar(&c.resultCommit, "result-commit", "", "file for the commit of the pipeline file")
	f.DurationVar(&c.timeout, "timeout", patience, "time limit of the command")
	c.cluster.flags(f)
	c.source.flags(f)
}

var commitForm = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})?$`)

// parse reads and checks the configuration and the event.
func (c *launchCommand) parse() error {
	if err := launch.Decode(c.configText, &c.config); err != nil {
		return fail(launch.ExitUsage, "--config cannot be read: %w", err)
	}
	if err := launch.Decode(c.eventText, &c.event); err != nil {
		return fail(launch.ExitUsage, "--event cannot be read: %w", err)
	}
	for name, value := range map[string]string{
		"namespace": c.config.Namespace, "account": c.config.Account, "pipeline": c.config.Pipeline,
		"repository": c.config.Repository, "url": c.config.URL, "path": c.config.Path,
	} {
		if value == "" {
			return fail(launch.ExitUsage, "--config has no %s", name)
		}
	}
	switch {
	case len(validation.IsDNS1123Subdomain(c.launcher)) > 0 || len(c.launcher) > validation.LabelValueMaxLength:
		return fail(launch.ExitUsage, "--launcher is not the name of a PipelineRun of at most %d characters", validation.LabelValueMaxLength)
	case c.event.Event == "":
		return fail(launch.ExitUsage, "--event has no event")
	case !commitForm.MatchString(c.event.Commit):
		return fail(launch.ExitUsage, "the commit of --event is not valid: it must have 40 hexadecimal digits, or be empty")
	}
	return nil
}

func (c *launchCommand) run(ctx context.Context, p *Program) error {
	// The next steps need the results, also of a launch that fails.
	if err := c.report("", ""); err != nil {
		return err
	}
	if err := c.parse(); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, c.timeout)
	defer stop()
	runs, err := c.cluster.connect(p, c.config.Namespace)
	if err != nil {
		return err
	}
	// A step can run again after it created the run, and the file may have changed
	// since: the existing run decides.
	found, err := runs.ofLauncher(ctx, c.launcher)
	if err != nil {
		return err
	}
	if found != nil {
		p.say("run %s exists already", found.Name)
		return c.report(found.Name, commitOf(found))
	}
	file, commit, err := c.source.read(ctx, p, &c.config, &c.event)
	if err != nil {
		return err
	}
	run, notes, err := compose(&c.config, &c.event, c.launcher, commit, file)
	for _, note := range notes {
		p.say("%s", note)
	}
	if err != nil {
		return err
	}
	created, err := runs.create(ctx, run)
	if err != nil {
		return err
	}
	if created {
		p.say("created run %s in namespace %s from %s at %s", run.Name, run.Namespace, c.config.Path, commit)
	} else {
		p.say("run %s exists already", run.Name)
	}
	return c.report(run.Name, commit)
}

func (c *launchCommand) report(run, commit string) error {
	if err := writeResult(c.resultRun, run); err != nil {
		return err
	}
	return writeResult(c.resultCommit, commit)
}
