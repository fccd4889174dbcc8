// Package layout maps kinds to the folders of default.project and of the tenant
// repository. It guarantees that a file becomes an object only if it holds exactly
// one object of a kind that its folder allows, which the kind's schema and rules
// accept and which belongs to the repository's namespace.
package layout

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"nautes.io/nautes/api/v1alpha1"
)

// Scope is one repository: default.project of a product, with the product's name
// as Namespace, or the tenant repository, with the operator's namespace.
type Scope struct {
	Tenant    bool
	Namespace string
}

// folder is a top-level folder of a repository.
type folder struct {
	// kinds that may be in it.
	kinds []string
	// nested: a file is in a directory of the folder, named like the owner.
	nested bool
	// example of a path, for messages.
	example string
}

// folders returns the layout of the repository.
func (s Scope) folders() map[string]folder {
	if s.Tenant {
		return map[string]folder{
			"clusters":  {kinds: []string{"Cluster"}, example: "clusters/<cluster>.yaml"},
			"providers": {kinds: []string{"CodeRepoProvider", "ProductProvider"}, example: "providers/<provider>.yaml"},
			"hooks":     {kinds: []string{"PipelineHook"}, example: "hooks/<hook>.yaml"},
			"catalogue": {kinds: []string{"ComponentCatalogue"}, example: "catalogue/" + v1alpha1.ComponentCatalogueName + ".yaml"},
		}
	}
	return map[string]folder{
		"projects": {kinds: []string{"Project", "ProjectPipelineRuntime"}, nested: true,
			example: "projects/<project>/<project>.yaml or projects/<project>/<pipeline runtime>.yaml"},
		"envs": {kinds: []string{"Environment"}, example: "envs/<environment>.yaml"},
		"code-repos": {kinds: []string{"CodeRepo", "CodeRepoBinding"}, nested: true,
			example: "code-repos/<repository>/<repository>.yaml or code-repos/<repository>/<binding>.yaml"},
		"artifact-repos": {kinds: []string{"ArtifactRepo"}, nested: true, example: "artifact-repos/<repository>/<repository>.yaml"},
		"runtimes":       {kinds: []string{"DeploymentRuntime"}, example: "runtimes/<deployment runtime>.yaml"},
	}
}

// Holds reports whether the repository has files of a kind.
func (s Scope) Holds(kind string) bool {
	for _, f := range s.folders() {
		if slices.Contains(f.kinds, kind) {
			return true
		}
	}
	return false
}

// newObject returns an empty object of a kind that some folder allows.
func newObject(kind string) v1alpha1.Object {
	switch kind {
	case "Project":
		return &v1alpha1.Project{}
	case "ProjectPipelineRuntime":
		return &v1alpha1.ProjectPipelineRuntime{}
	case "Environment":
		return &v1alpha1.Environment{}
	case "CodeRepo":
		return &v1alpha1.CodeRepo{}
	case "CodeRepoBinding":
		return &v1alpha1.CodeRepoBinding{}
	case "ArtifactRepo":
		return &v1alpha1.ArtifactRepo{}
	case "DeploymentRuntime":
		return &v1alpha1.DeploymentRuntime{}
	case "Cluster":
		return &v1alpha1.Cluster{}
	case "CodeRepoProvider":
		return &v1alpha1.CodeRepoProvider{}
	case "ProductProvider":
		return &v1alpha1.ProductProvider{}
	case "ComponentCatalogue":
		return &v1alpha1.ComponentCatalogue{}
	default:
		return &v1alpha1.PipelineHook{}
	}
}

// Resource reports whether the file at a path, relative and with slashes, is a
// resource file: it ends in .yaml or .yml and is below a folder of the layout.
// Hidden files and directories and kustomization files are not resource files.
func (s Scope) Resource(name string) bool {
	components := strings.Split(name, "/")
	if _, known := s.folders()[components[0]]; !known {
		return false
	}
	for _, component := range components {
		if component == "" || strings.HasPrefix(component, ".") {
			return false
		}
	}
	base := components[len(components)-1]
	extension := path.Ext(base)
	return (extension == ".yaml" || extension == ".yml") && strings.TrimSuffix(base, extension) != "kustomization"
}

// Modes of the entries of a Git tree that are not files.
const (
	modeSymlink   = "120000"
	modeSubmodule = "160000"
)

// Admit returns the problem that an entry of the tree has before its content is
// read, or nil if it has none or is outside of the layout. A link or submodule in
// the place of a folder is refused too, because it hides the folder's files.
func (s Scope) Admit(name, mode string, size int64) *v1alpha1.FileProblem {
	top, _, _ := strings.Cut(name, "/")
	_, known := s.folders()[top]
	switch {
	case !known || strings.Contains("/"+name, "/."):
		return nil
	case mode == modeSubmodule:
		return Problem(name, 0, NotAFile, "submodules are not read: put the resource files into this repository")
	case mode == modeSymlink && (s.Resource(name) || path.Ext(name) == ""):
		return Problem(name, 0, NotAFile, "symbolic links are not followed: put the file itself here")
	case s.Resource(name) && size > MaxSize:
		return tooLarge(name, size)
	default:
		return nil
	}
}

// Path returns the path of an object's file in its repository. It fails for kinds
// that have no file, and for names that cannot be part of a path.
func Path(o v1alpha1.Object) (string, error) {
	name := o.GetName()
	nested := func(top, owner string) (string, error) {
		if owner == name {
			return "", fmt.Errorf("%s %q has the name of its directory %s/%s, where the file %s.yaml is another object's: choose another name", kindOf(o), name, top, owner, name)
		}
		return join(o, top, owner, name)
	}
	switch object := o.(type) {
	case *v1alpha1.Project:
		return join(o, "projects", name, name)
	case *v1alpha1.ProjectPipelineRuntime:
		return nested("projects", object.Spec.Project)
	case *v1alpha1.Environment:
		return join(o, "envs", name)
	case *v1alpha1.CodeRepo:
		return join(o, "code-repos", name, name)
	case *v1alpha1.CodeRepoBinding:
		return nested("code-repos", object.Spec.CodeRepo)
	case *v1alpha1.DeploymentRuntime:
		return join(o, "runtimes", name)
	case *v1alpha1.Cluster:
		return join(o, "clusters", name)
	case *v1alpha1.CodeRepoProvider, *v1alpha1.ProductProvider:
		return join(o, "providers", name)
	case *v1alpha1.PipelineHook:
		return join(o, "hooks", name)
	case *v1alpha1.ComponentCatalogue:
		if name != v1alpha1.ComponentCatalogueName {
			return "", fmt.Errorf("%s %q has no path: a tenant has one catalogue, and its name is %s", kindOf(o), name, v1alpha1.ComponentCatalogueName)
		}
		return join(o, "catalogue", name)
	default:
		return "", fmt.Errorf("%s %q is not kept in a file", kindOf(o), name)
	}
}

// kindOf returns the kind of an object by its type.
func kindOf(o v1alpha1.Object) string { return strings.TrimPrefix(fmt.Sprintf("%T", o), "*v1alpha1.") }

func join(o v1alpha1.Object, top string, names ...string) (string, error) {
	for _, name := range names {
		if len(validation.IsDNS1123Label(name)) > 0 {
			return "", fmt.Errorf("%s %q has no path: %q is not a name of lower-case letters, digits and dashes", kindOf(o), o.GetName(), name)
		}
	}
	return top + "/" + strings.Join(names, "/") + ".yaml", nil
}

// misplaced returns the problem of a path at which the layout has no resource
// file, or nil.
func (s Scope) misplaced(name string) *v1alpha1.FileProblem {
	components := strings.Split(name, "/")
	f := s.folders()[components[0]]
	want := 2
	if f.nested {
		want = 3
	}
	switch {
	case !s.Resource(name):
		return Problem(name, 0, Misplaced, "the layout has no resource file here: it knows the folders %s", strings.Join(s.folderNames(), ", "))
	case len(components) != want:
		return Problem(name, 0, Misplaced, "the file is in the wrong directory: move it to %s", f.example)
	}
	return nil
}

func (s Scope) folderNames() []string {
	var names []string
	for name := range s.folders() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
