package dockertest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
)

// PostgresData is where PostgreSQL keeps its data in a container.
const PostgresData = "/tmp/pgdata"

// startPostgres makes a cluster that anybody may connect to, or copies that of
// the server PRIMARY as its standby, and runs it with the arguments given.
const startPostgres = `set -e
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  if [ -n "$PRIMARY" ]; then
    pg_basebackup -h "$PRIMARY" -U postgres -D "$PGDATA" -R -X stream -c fast
  else
    initdb -D "$PGDATA" -U postgres -A trust -E UTF8 --locale=C >/dev/null
    echo "host all all all trust" >>"$PGDATA/pg_hba.conf"
    echo "host replication all all trust" >>"$PGDATA/pg_hba.conf"
  fi
fi
exec postgres -k /tmp -h 0.0.0.0 "$@"`

// Postgres returns the name of an image of PostgreSQL: the one that the variable
// E2E_POSTGRES_IMAGE names, such as the official postgres:17, or else one that
// is built FROM scratch out of the files of the package that is installed here.
// PostgresOptions run it.
func Postgres(ctx context.Context) (string, error) {
	if name := os.Getenv("E2E_POSTGRES_IMAGE"); name != "" {
		return name, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("PostgreSQL is not installed: install the package postgresql, or name an image in E2E_POSTGRES_IMAGE")
	}
	bin := filepath.Dir(slices.Max(found))
	return image(ctx, "postgres", "FROM scratch\nCOPY root /\nENV PATH="+bin+":/bin\n", func(root string) error { return layOutPostgres(ctx, root, bin) })
}

// PostgresOptions run a server of Postgres, with settings such as fsync=on. Where
// primary names a host it becomes a standby of the server there. The superuser is
// postgres, without a password.
func PostgresOptions(primary string, settings ...string) []testcontainers.ContainerCustomizer {
	command := []string{"sh", "-c", startPostgres, "postgres"}
	for _, setting := range settings {
		command = append(command, "-c", setting)
	}
	return []testcontainers.ContainerCustomizer{
		testcontainers.WithEntrypoint(command[0]), testcontainers.WithCmd(command[1:]...),
		testcontainers.WithEnv(map[string]string{"PGDATA": PostgresData, "PRIMARY": primary}),
		testcontainers.WithConfigModifier(func(config *container.Config) { config.User, config.StopSignal = "postgres", "SIGINT" }),
	}
}

// layOutPostgres puts the programs that a server needs below root, their libraries, and
// the files of PostgreSQL that they read.
func layOutPostgres(ctx context.Context, root, bin string) error {
	files := []string{"/bin/sh"}
	for _, name := range []string{"postgres", "initdb", "pg_basebackup", "pg_ctl", "psql"} {
		files = append(files, filepath.Join(bin, name))
	}
	home := filepath.Dir(bin)
	modules, err := filepath.Glob(home + "/lib/*.so")
	if err != nil {
		return err
	}
	for _, module := range modules {
		if !strings.Contains(module, "llvmjit") { // as large as all else together
			files = append(files, module)
		}
	}
	libraries, err := librariesOf(ctx, files)
	if err != nil {
		return err
	}
	files = append(files, libraries...)
	err = filepath.WalkDir("/usr/share/postgresql/"+filepath.Base(home), func(path string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && entry.Name() == "man" {
			return fs.SkipDir
		}
		if _, gone := os.Stat(path); err == nil && gone == nil && !entry.IsDir() { // links into /etc may lead nowhere
			files = append(files, path)
		}
		return err
	})
	for _, file := range files {
		err = errors.Join(err, copyTo(root, file))
	}
	etc, tmp := filepath.Join(root, "etc"), filepath.Join(root, "tmp")
	return errors.Join(err, os.Mkdir(tmp, 0o755), os.Chmod(tmp, 0o777|fs.ModeSticky), os.MkdirAll(etc, 0o755),
		os.WriteFile(filepath.Join(etc, "passwd"), []byte("postgres:x:70:70::/tmp:/bin/sh\n"), 0o644),
		os.WriteFile(filepath.Join(etc, "group"), []byte("postgres:x:70:\n"), 0o644))
}

// copyTo copies a file to the same path below root; symbolic links are followed.
func copyTo(root, file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(file)
	to := filepath.Join(root, file)
	return errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, content, info.Mode().Perm()))
}

var library = regexp.MustCompile(`(?m)(/\S+) \(0x`)

// librariesOf are the shared libraries that files are linked with, and the
// loader.
func librariesOf(ctx context.Context, files []string) ([]string, error) {
	said, err := exec.CommandContext(ctx, "ldd", files...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("ldd: %w\n%s", err, said)
	}
	var found []string
	for _, match := range library.FindAllStringSubmatch(string(said), -1) {
		found = append(found, match[1])
	}
	slices.Sort(found) // most files are linked with the same ones
	return slices.Compact(found), nil
}
