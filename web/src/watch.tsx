import { createRoot } from 'react-dom/client';
import { WatchPage } from './watch/WatchPage';
import './theme.css';
import './base.css';

const root = document.getElementById('root');
if (root) createRoot(root).render(<WatchPage />);
