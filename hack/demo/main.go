// Command demo shows the main jobs of Nautes on the real parts: clusters are
// registered and get their components, a product is made by HTTP, a push of manifests
// becomes a deployment on one of the clusters, and a push to a feature branch runs a
// pipeline on another. It exits with 0 when every step held, and says
// otherwise which did not, and why. With STAY=1 in its environment it keeps
// everything up until it is interrupted. FORGE is the Git forge: gitlab, which is
// emulated, or gitea, which is real.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/scenario"
)

// removals is the number of acts at the end that remove everything.
const removals = 4

// budget bounds the whole demo: a step that hangs is a failure, not a wait. A
// machine with two cores and nothing else to do needs a fifth of it.
const budget = 30 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, cmp.Or(os.Getenv("FORGE"), kindGitLab), os.Getenv("STAY") == "1"); err != nil {
		fmt.Fprintf(os.Stderr, "\nThe demo failed: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, forge string, stay bool) (err error) {
	dir, err := os.MkdirTemp("", "nautes-demo-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	_, noCurl := exec.LookPath("curl")
	d := &demo{screen: newScreen(), dir: dir, kind: forge, curl: noCurl == nil, labs: scenario.Product{Group: groupName}, files: map[string]string{}}
	defer func() { err = d.close(err) }()

	bounded, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	acts := d.acts()
	if stay {
		// The stack stays up for the user: the acts that remove everything are left out.
		acts = acts[:len(acts)-removals]
	}
	for i, act := range acts {
		d.screen.act(i+1, act.title)
		if err := act.play(bounded); err != nil {
			return fmt.Errorf("act %d, %q: %w", i+1, act.title, err)
		}
		if err := d.alive(); err != nil {
			return fmt.Errorf("act %d, %q: %w", i+1, act.title, err)
		}
	}
	d.summary()
	if stay {
		return d.stay(ctx)
	}
	return nil
}

type act struct {
	title string
	play  func(context.Context) error
}

func (d *demo) acts() []act {
	return []act{
		{"The stage: real control planes, a Git forge, Vault, and the tenant's real Argo CD", d.stage},
		{"What an administrator does once: rights for the operator and the API, and the tenant repository", d.operator},
		{"A mirror of the components in Git, and a catalogue that leads to it", d.catalogue},
		{"A host and a physical worker are registered, by git push", d.physicalClusters},
		{"A virtual worker is registered: a mistake first, told and mended", d.virtualCluster},
		{"On the worker, what was installed begins to work", d.workerPrograms},
		{"The product and everything in it, by HTTP: curl to the REST API", d.makeProduct},
		{"The manifests, for two namespaces: git push to the product's deployment repository", d.manifests},
		{"Vault: what is there, and what the product's account may read", d.secretAccess},
		{"A change to a manifest, and a change to the runtime", d.changes},
		{"A bad file, explained, and mended", d.badFile},
		{"A kind that the product may not deploy: refused, explained, and mended", d.refusedKind},
		{"Foreign changes to a mirrored object and to an AppProject go back", d.foreignChanges},
		{"On the virtual worker, what runs pipelines begins to work", d.pipelinePrograms},
		{"A pipeline runtime: four event sources, a calendar, hooks, by curl", d.pipelineRuntime},
		{"A push to a feature branch runs its pipeline, once", d.pipelineRun},
		{"At rest: nothing is written", d.rest},
		{"The pipeline runtime is deleted by curl, and everything is gone", d.pipelineRemoval},
		{"The product is removed by git push alone, file by file, and everything is gone", d.removal},
		{"Its files come back with one push, and the product is deleted by curl", d.productRemoval},
		{"The clusters are unregistered, by git push", d.unregistration},
	}
}

// demo is the state that the acts share.
type demo struct {
	// The system is there from the first act on.
	*scenario.System

	screen  *screen
	dir     string
	kind    string
	curl    bool
	forge   *forge
	entry   *devstack.Entry
	process *devstack.Operator
	api     *devstack.RESTServer
	figures []figure

	// ada is the owner of the product.
	ada person
	// labs is the product. Its name has the id of its group in the forge.
	labs scenario.Product
	// manifestsID and sourcesID are the names of CodeRepos, with the ids of the repositories.
	manifestsID, sourcesID string
	// files are the paths of the files of resources, by the paths of the API.
	files map[string]string
	// kept are the files that come back after their removal.
	kept map[string]string
	// defaultID is the name of the repository default.project by its id.
	defaultID string

	// mirror is the commit of the components, and mirrored its entries.
	mirror   string
	mirrored []devstack.MirrorEntry
	// before lists the objects on the clusters before they are registered.
	before map[string][]string
	// innerPods plays the Pods of the virtual cluster.
	innerPods *devstack.PodPlayer
	// pipelines are the programs that run pipelines on the virtual worker.
	pipelines pipelineParts
	// deliveries are the events that the forge has sent to the virtual worker.
	deliveries deliveries
	// accountToken is the token that the product's account got from Vault.
	accountToken string
}

type figure struct {
	what string
	took time.Duration
}

func (d *demo) measured(what string, took time.Duration) {
	d.figures = append(d.figures, figure{what, took})
	d.screen.done(what, took)
}

// alive returns nil while everything that was started still runs.
func (d *demo) alive() error {
	if d.process != nil {
		if err := d.process.Err(); err != nil {
			return err
		}
	}
	var api error
	if d.api != nil {
		api = d.api.Err()
	}
	var forge error
	if d.forge != nil {
		forge = d.forge.program.Err()
	}
	return errors.Join(d.Err(), api, forge)
}

func (d *demo) summary() {
	d.screen.say("")
	fmt.Fprintf(d.screen.out, "Every step held, in %s.\n", round(time.Since(d.screen.started)))
	for _, f := range d.figures {
		fmt.Fprintf(d.screen.out, "   %-74s %8s\n", f.what, round(f.took))
	}
}

// close ends everything that was started. The logs stay if the demo failed.
func (d *demo) close(err error) error {
	if d.api != nil {
		_ = d.api.Stop()
	}
	if d.process != nil {
		_ = d.process.Stop()
	}
	if d.forge != nil {
		_ = d.forge.program.Stop()
	}
	if d.System != nil {
		_ = d.Stop()
	}
	if err != nil {
		return fmt.Errorf("%w\nThe logs of all programs are in %s", err, filepath.Join(d.dir, "stack", "logs"))
	}
	return os.RemoveAll(d.dir)
}
