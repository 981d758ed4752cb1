import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const server = process.env.REELROOM_URL ?? 'http://localhost:6080';

export default defineConfig({
  plugins: [react()],
  // The server may stand below a path of its address: a page finds what belongs to it from where it is.
  base: './',
  build: {
    // A data: address would need a wider content security policy.
    assetsInlineLimit: 0,
    target: 'es2022',
    // The media client, which is loaded behind the form.
    chunkSizeWarningLimit: 700,
    rolldownOptions: { input: ['index.html', 'recordings.html', 'owner.html', 'join.html', 'watch.html'] },
  },
  server: {
    proxy: {
      '^/(token|settings\\.json|recordings|rooms|link|events|overview|audit|webhooks)(/|\\?|$)': server,
      '^/(owner|watch)/': server,
      '/rtc': { target: server, ws: true },
    },
  },
});
