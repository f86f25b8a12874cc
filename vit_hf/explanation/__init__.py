"""Why a model says what it says: heat maps by several methods, how well each of them points, and what layers hold."""
