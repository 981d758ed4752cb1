import { overview, type Setting } from '../api/owner';
import { texts } from '../texts';
import { Section } from './Section';
import { useAsked } from './useAsked';
import { worded } from './worded';

/** What holds, and where it was set. */
export function SettingsSection() {
  const { value, heard, ask } = useAsked(overview);

  return (
    <Section title={texts.owner.sections.settings} hint={texts.settings.hint} heard={heard} onAgain={ask}>
      {value?.settings.length === 0 && <p>{texts.settings.none}</p>}
      {value !== null && value.settings.length > 0 && <Table settings={value.settings} />}
    </Section>
  );
}

/** A secret is shown to nobody: only whether there is one. */
function shown({ value, isSecret }: Setting): string {
  if (isSecret) return value === 'set' ? texts.settings.isSet : texts.settings.isUnset;
  return value === '' ? texts.settings.empty : value;
}

function nextShown(next: string): string {
  return next === '' ? texts.settings.empty : next;
}

function Table({ settings }: { settings: Setting[] }) {
  const { name, value, from } = texts.settings.columns;
  return (
    <table className="console__table">
      <caption>{texts.owner.sections.settings}</caption>
      <thead>
        <tr>
          {[name, value, from].map((column) => (
            <th key={column} scope="col">
              {column}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {settings.map((setting) => (
          <tr key={setting.name} data-setting={setting.name}>
            <th scope="row">
              <code>{setting.name}</code>
            </th>
            <td>
              <bdi>{shown(setting)}</bdi>
              {setting.next !== null && <p>{texts.settings.next(nextShown(setting.next))}</p>}
            </td>
            <td>{worded(texts.settings.from, setting.from)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
