package population

// Channel is a way of reaching people, as Braze writes it into channel.
type Channel string

// The channels that messages go out on.
const (
	Email        Channel = "email"
	Push         Channel = "push"
	InApp        Channel = "in_app_message"
	ContentCard  Channel = "content_card"
	Banner       Channel = "banner"
	SMS          Channel = "sms"
	RCS          Channel = "rcs"
	WhatsApp     Channel = "whatsapp"
	LINE         Channel = "line"
	Webhook      Channel = "webhook"
	FeatureFlag  Channel = "feature_flag"
	LiveActivity Channel = "live_activity"
)

// Channels lists them all.
func Channels() []Channel {
	return []Channel{Email, Push, InApp, ContentCard, Banner, SMS, RCS, WhatsApp, LINE, Webhook, FeatureFlag, LiveActivity}
}

// Named is a thing with an id and a name.
type Named struct{ ID, Name string }

// App is one app of the workspace, on one platform.
type App struct {
	Named
	Platform Platform
	// SDKVersion is the version of Braze's SDK in it.
	SDKVersion string
}

// Campaign is one campaign and the variations of its message.
type Campaign struct {
	Named
	Channel    Channel
	Variations []Named
}

// Step is one step of a Canvas and the variations of its message.
type Step struct {
	Named
	Variations []Named
}

// Canvas is one Canvas: variations (the ways through it) and steps in order.
type Canvas struct {
	Named
	Variations []Named
	Steps      []Step
	// Splits are the paths of the Canvas's experiment step, ExperimentID.
	ExperimentID string
	Splits       []Named
}

// Group is a subscription group and the sender that its messages come from.
type Group struct {
	Named
	Channel Channel
	Number  string // E.164, for SMS and WhatsApp
	Sender  string // RCS agent or LINE channel id
}

// Product is something to buy; Cents is its price in hundredths of a currency.
type Product struct {
	Named
	Category string
	Cents    int
}

// Agent is an AI agent of the agent console.
type Agent struct {
	Named
	Provider, Model string
}
