package population

// Platform is the kind of device, as Braze writes it into platform.
type Platform string

// The platforms that Braze's event glossary names.
const (
	IOS     Platform = "ios"
	Android Platform = "android"
	Kindle  Platform = "kindle"
	Web     Platform = "web"
	TVOS    Platform = "tvos"
	Roku    Platform = "roku"
)

// Model is a model of device and what its software says of itself.
type Model struct {
	Name       string // as in device_model
	OS         string // as in device_os
	Version    string // as in os_version
	Class      string // mobile, tablet, desktop, tv
	Browser    string
	UserAgent  string
	Resolution string // width and height in pixels
}

// platformOf says which platform the user with this index has: a fixed row, so
// that a user of a wanted platform can be found without looking.
func platformOf(index uint64) Platform { return platformRow()[index%rowLength] }

// rowLength is how many users in a row show every platform.
const rowLength = 20

func platformRow() [rowLength]Platform {
	return [rowLength]Platform{
		IOS, Android, IOS, Android, Web, IOS, Android, IOS, Android, Kindle,
		IOS, Android, IOS, Android, Web, IOS, TVOS, IOS, Android, Roku,
	}
}

const (
	safariPhone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
	safariPad   = "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
	safariMac   = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15"
	chromePhone = "Mozilla/5.0 (Linux; Android 14; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Mobile Safari/537.36"
	chromeWin   = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36"
	firefoxWin  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:126.0) Gecko/20100101 Firefox/126.0"
	silkTablet  = "Mozilla/5.0 (Linux; Android 11; KFTRWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/122.4.1 like Chrome/122.0.6261.140 Safari/537.36"
	appleTV     = "AppleTV11,1/17.5 (21L569)"
	rokuAgent   = "Roku/DVP-13.0 (13.0.0.2115-AD)"
)

func models() map[Platform][]Model {
	return map[Platform][]Model{
		IOS: {
			{"iPhone15,3", "iOS", "17.5.1", "mobile", "Mobile Safari", safariPhone, "1290x2796"},
			{"iPhone14,5", "iOS", "17.4", "mobile", "Mobile Safari", safariPhone, "1170x2532"},
			{"iPhone12,1", "iOS", "16.7.8", "mobile", "Mobile Safari", safariPhone, "828x1792"},
			{"iPad13,4", "iPadOS", "17.5", "tablet", "Mobile Safari", safariPad, "1668x2388"},
		},
		Android: {
			{"Pixel 8", "Android", "14", "mobile", "Chrome Mobile", chromePhone, "1080x2400"},
			{"SM-S918B", "Android", "14", "mobile", "Samsung Internet", chromePhone, "1440x3088"},
			{"SM-A546E", "Android", "13", "mobile", "Chrome Mobile", chromePhone, "1080x2340"},
			{"Redmi Note 12", "Android", "13", "mobile", "Chrome Mobile", chromePhone, "1080x2400"},
		},
		Kindle: {{"KFTRWI", "Fire OS", "8.3.2", "tablet", "Silk", silkTablet, "1200x2000"}},
		Web: {
			{"Windows PC", "Windows", "10", "desktop", "Chrome", chromeWin, "1920x1080"},
			{"Windows PC", "Windows", "11", "desktop", "Firefox", firefoxWin, "2560x1440"},
			{"Macintosh", "Mac OS X", "14.5", "desktop", "Safari", safariMac, "1512x982"},
		},
		TVOS: {{"AppleTV11,1", "tvOS", "17.5", "tv", "AppleTV", appleTV, "3840x2160"}},
		Roku: {{"Roku Ultra 4800X", "Roku OS", "13.0.0", "tv", "Roku", rokuAgent, "1920x1080"}},
	}
}
