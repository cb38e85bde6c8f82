package plot

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/journey/journeytest"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
)

func TestEveryOutcomeIsInThePlot(t *testing.T) {
	for _, k := range scenario.KnownOutcomes() {
		require.Regexp(t, `\n\t(else )?`+regexp.QuoteMeta(k.Name)+` → `, text, "nothing comes of it")
	}
	conditions := []Condition{"", ControlOfCampaign, ControlOfCanvas, InWindowOfCampaign, InWindowOfCanvas, AtMessageStep, AtFirstMessage, FirstOfCampaign}
	used := regexp.MustCompile(`\n\t.* \((.*)\)`).FindAllStringSubmatch(text, -1)
	require.NotEmpty(t, used)
	for _, only := range used {
		require.Contains(t, conditions, Condition(only[1]))
	}
	require.Len(t, Roots(), len(scenario.KnownStarts())+len(scenario.SendingChannels()))
}

func TestEveryNodeCanBeReached(t *testing.T) {
	known := journeytest.Glossary(t)
	steady, err := scenario.Builtin("steady")
	require.NoError(t, err)
	g, err := New(known, steady, nil)
	require.NoError(t, err)
	for i, path := range g.Paths {
		name := known.Events[i].Name
		if known.Events[i].Retired != "" {
			require.Empty(t, path)
			continue
		}
		begins := slices.ContainsFunc(Roots(), func(root string) bool { return strings.HasPrefix(root+"#", name+"#") })
		require.True(t, begins || len(path) > 1, "%s follows from nothing", name)
		require.NotZero(t, g.PathPlatforms(path), name)
	}
}
